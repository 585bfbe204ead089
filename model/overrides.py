"""Values laid over a tree of frozen dataclasses: by name, parsed to the field's type, refused with a sentence."""

import dataclasses
import difflib
import types
import typing
from typing import Any, Literal, Union

from model.errors import ConfigError


def override(node: Any, values: dict[str, Any], path: str = "") -> Any:
    """A copy of the dataclass tree `node` with the nested `values` set; strings are parsed to the field's type."""
    hints = typing.get_type_hints(type(node))
    changes = {}
    for key, value in values.items():
        where = f"{path}{key}"
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            advice = f"did you mean {path}{near[0]}?" if near else f"known keys there: {', '.join(hints)}."
            raise ConfigError(f"There is no setting {where!r}; {advice}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise ConfigError(f"{where!r} is a section, not a value; set one of its keys, e.g. {where}.<key>=…")
            changes[key] = override(getattr(node, key), value, f"{where}.")
        else:
            changes[key] = _parse(value, hints[key], where)
    return dataclasses.replace(node, **changes)


def _parse(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        for choice in arguments:
            if str(value) == str(choice):
                return choice
        raise ConfigError(f"{where} is {value!r}; choose one of {', '.join(map(str, arguments))}.")
    if origin in (Union, types.UnionType):
        if value is None or value in ("", "none", "null"):
            return None
        return _parse(value, next(a for a in arguments if a is not type(None)), where)
    if origin is tuple:
        items = [part for part in value.strip("()[] ").split(",") if part] if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise ConfigError(f"{where} is {value!r}; write a list, e.g. 2,4.")
        return tuple(_parse(item, arguments[0], where) for item in items)
    if hint is bool:
        if str(value).lower() in ("true", "1", "yes", "on"):
            return True
        if str(value).lower() in ("false", "0", "no", "off"):
            return False
        raise ConfigError(f"{where} is {value!r}; write true or false.")
    try:
        parsed = hint(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{where} is {value!r}; it takes a value of type {hint.__name__}.") from None
    if isinstance(parsed, float) and parsed != parsed:
        raise ConfigError(f"{where} is NaN; give a number.")
    return parsed
