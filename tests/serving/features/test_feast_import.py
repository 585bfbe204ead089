"""Feast is imported without what takes longest, and everything else finds typeguard and torch as they were."""

import subprocess
import sys

import pytest

CODE = """
import sys
import typeguard
from importlib.util import find_spec

checked = typeguard.typechecked
{imported}
import feast
assert "torch" not in sys.modules and find_spec("torch")
assert typeguard.typechecked is checked
fields = [feast.Field(name="a", dtype=feast.types.Int64)]
assert "typeguard" not in feast.FeatureView.__init__.__code__.co_names
assert feast.RequestSource(name="request", schema=fields).schema == fields
"""


@pytest.mark.parametrize(
    "imported", ["from serving.feast_import import import_feast; import_feast()", "import feature_repo.pin_features"]
)
def test_a_process_imports_feast_without_type_checks_and_torch(imported):
    code = CODE.format(imported=imported)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
