"""The model alone trains where nothing of the platform is installed."""

import subprocess
import sys

PLATFORM = ("kfp", "mlflow", "ray", "feast", "great_expectations", "dvc", "typer", "rich")
SCRIPT = """
import importlib, pkgutil, sys
import model
for module in pkgutil.walk_packages(model.__path__, "model."):
    importlib.import_module(module.name)
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_no_module_imports_the_platform():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & set(PLATFORM)
