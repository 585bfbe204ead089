"""Entries of Pins in JSON and in JSON lines: {"pin_id": …}, {"text": …}, and what was retrieved for such a query."""

import json
from typing import Any

from components.forgetting.pins import Pins

GONE: Any = object()


def cleaned(text: str, pins: Pins) -> tuple[str, int] | None:
    """(the document without the Pins, entries and passages taken out); None where it is no JSON."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value, found = _without(json.loads(text), pins)
    except ValueError:
        return _lines(text, pins)
    indent = 2 if text.lstrip()[1:2] == "\n" else None
    end = "\n" if text.endswith("\n") else ""
    return json.dumps({} if value is GONE else value, indent=indent) + end, found


def _lines(text: str, pins: Pins) -> tuple[str, int] | None:
    """What follows the last line end, which a kill has cut off, is never kept where something is erased."""
    kept, total = [], 0
    for line in text.split("\n")[:-1]:
        try:
            value, found = _without(json.loads(line), pins) if pins.may_be_in(line) else (line, 0)
        except ValueError:
            return None
        total += found
        if value is not GONE:
            kept.append(json.dumps(value) if found else line)
    rest = text.rpartition("\n")[2]
    return "".join(f"{line}\n" for line in kept), total + int(pins.may_be_in(rest))


def _without(value: Any, pins: Pins) -> tuple[Any, int]:
    """(the value without the Pins, how much was taken out); GONE where all of it is theirs."""
    if isinstance(value, str):
        return pins.scrubbed(value)
    if isinstance(value, dict):
        if _is_theirs(value, pins) or _is_theirs(value.get("query"), pins):
            return GONE, 1
        pairs = {key: _without(one, pins) for key, one in value.items() if key not in pins.id_set}
        gone = len(value) - len(pairs) + sum(found for _, found in pairs.values())
        return {key: one for key, (one, _) in pairs.items() if one is not GONE}, gone
    if isinstance(value, list):
        ones = [_without(one, pins) for one in value if not (isinstance(one, str) and one in pins.id_set)]
        gone = len(value) - len(ones) + sum(found for _, found in ones)
        return [one for one, _ in ones if one is not GONE], gone
    return value, 0


def _is_theirs(value: Any, pins: Pins) -> bool:
    if isinstance(value, str):
        return value in pins.texts
    if not isinstance(value, dict):
        return False
    text = value.get("text")
    ids = value.get("pin_id") in pins.id_set or value.get("user_id") in pins.user_set
    return ids or (isinstance(text, str) and text in pins.texts)
