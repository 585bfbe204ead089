"""The JSON of a tower in a model folder, within limits: a folder from a stranger may speak of a billion layers."""

import json
from pathlib import Path
from typing import Any

LARGEST = 10_000_000  # number
LARGEST_SUM = 1_000_000  # of a list of numbers, as of layers by stage


def read_description(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError, OSError: it is none, is nested too deeply, or has NaN, infinite or absurd numbers.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no JSON object")
    _check_numbers(found, "")
    return found


def _no_number(said: str) -> None:
    raise ValueError(f"{said} is no number")


def _check_numbers(found: Any, where: str) -> None:
    if isinstance(found, dict):
        for key, value in found.items():
            _check_numbers(value, f"{where}.{key}" if where else str(key))
    elif isinstance(found, list):
        if sum(abs(one) for one in found if isinstance(one, int)) > LARGEST_SUM:
            raise ValueError(f"{where} adds up to more than {LARGEST_SUM:,}")
        for one in found:
            _check_numbers(one, where)
    elif isinstance(found, int | float) and abs(found) > LARGEST:
        raise ValueError(f"{where} is beyond {LARGEST:,}")
