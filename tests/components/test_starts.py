"""What a command or step imports before its first useful second: torch, Feast and MLflow only where they are used."""

import subprocess
import sys

LIGHT = """
import sys
import components.forgetting.withdrawn
import components.spaces.promote
import components.spaces.retire
import components.spaces.roll_back
import model.embedding.quantization
print(*{"torch", "feast", "mlflow", "ray", "kfp", "pandas"} & set(sys.modules))
"""
QUICK_FEAST = """
import sys
from components.settings import Settings
from components.spaces.feature_store import feast_errors
with feast_errors(Settings()):
    import feast
assert "typeguard" not in feast.FeatureView.__init__.__code__.co_names
print(*{"torch", "mlflow", "ray", "kfp"} & set(sys.modules))
"""


def loaded(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_quantize_sync_promote_retire_and_rollback_start_light():
    assert loaded(LIGHT) == []


def test_whoever_handles_feasts_errors_imports_feast_the_quick_way():
    assert loaded(QUICK_FEAST) == []
