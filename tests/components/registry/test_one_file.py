"""One file of Python out of several modules: it holds what is used, and says what cannot be followed."""

import re
import subprocess
import sys

import pytest

from components.registry.one_file import one_file
from components.registry.versions import PACKAGES

START = '''"""Doubles."""

import math

from ours.numbers import TWO, doubled


def both(x: int) -> float:
    return doubled(x) + math.sqrt(TWO)


print(both(2))
'''
NUMBERS = """
import json
import re as patterns

from ours.deeper import power

# Twice
# one
TWO = 2
UNUSED = json


def doubled(x):
    assert patterns.match("a", "a")
    return power(TWO, x)
"""
DEEPER = """
from functools import cache


@cache
def power(a, b):
    return _times(a, b)


def _times(a, b):
    return a * b
"""


def written(folder, start=START, numbers=NUMBERS, deeper=DEEPER):
    """A project of one package."""
    (folder / "ours").mkdir()
    for name, text in {"__init__": "", "start": start, "numbers": numbers, "deeper": deeper}.items():
        (folder / "ours" / f"{name}.py").write_text(text)
    return folder


def test_what_is_used_comes_before_it_and_nothing_else(tmp_path):
    text = one_file("ours.start", written(tmp_path))
    assert text.startswith('"""Doubles."""')
    assert "# Twice\n# one\nTWO = 2" in text
    assert [name for name in ("json", "UNUSED", "ours") if name in text] == []
    (tmp_path / "alone.py").write_text(text)
    ran = subprocess.run([sys.executable, "-I", str(tmp_path / "alone.py")], capture_output=True, text=True, check=True)
    assert float(ran.stdout) == 4 + 2**0.5


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"deeper": DEEPER.replace("_times", "both")}, "both is of ours.deeper and of ours.start; one file needs"),
        (
            {"numbers": NUMBERS.replace("power", "power as raised", 1).replace("power(", "raised(")},
            "numbers.py imports",
        ),
        (
            {"start": START.replace("from ours.numbers import TWO", "from ours import numbers as TWO")},
            "start.py imports",
        ),
        ({"numbers": NUMBERS.replace("    assert", "    from ours.deeper import x\n    assert")}, "within a function"),
    ],
)
def test_what_cannot_be_followed_is_said(tmp_path, changed, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        one_file("ours.start", written(tmp_path, **changed))


def test_the_registered_models_file_has_every_name_and_needs_its_requirements_alone(tmp_path):
    text = one_file("components.registry.pin_model")
    (tmp_path / "pin_model.py").write_text(text)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", str(tmp_path / "pin_model.py")]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    imported = {name.split(".")[0] for name in re.findall(r"^ *(?:from|import) ([\w.]+)", text, re.MULTILINE)}
    asked = {*PACKAGES, "PIL", "mlflow"} - {"pillow", "mlflow-skinny"}
    assert imported - {*sys.stdlib_module_names} == asked | {"pillow_heif"}  # the last where it is installed
