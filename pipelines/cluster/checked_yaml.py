"""Reads the YAML files under deploy/ strictly: the first mistake becomes an error of one sentence."""

import difflib
import types
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import ValidationError

from components.kubernetes_types import StrictModel
from model.errors import ConfigError

Whole = TypeVar("Whole", bound=StrictModel)


def read_checked(model: type[Whole], path: Path) -> Whole:
    """The file as the model; an empty file is an empty mapping.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or holds what the model does not.
    """
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise ConfigError(f"Cannot read {path} ({error.strerror}); check the path.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path} is no YAML{f' at line {where.line + 1}' if where else ''}; fix it.") from None
    except ValidationError as error:
        raise ConfigError(f"{path} {_problem(model, error)}") from None


def _problem(model: type[StrictModel], error: ValidationError) -> str:
    first = error.errors()[0]
    *above, last = keys = [str(key) for key in first["loc"]] or ["its top"]
    where = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = _keys_at(model, above)
        near = difflib.get_close_matches(last, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}."
        return f"has the unknown key {where}; {hint}"
    if first["type"] == "missing":
        return f"lacks {where}; write it down."
    given = "" if isinstance(first["input"], dict | list) else f" ({first['input']!r})"
    message = first["msg"].removeprefix("Value error, ")
    return f"does not fit at {where}{given}: {message[0].lower()}{message[1:]}."


def _keys_at(model: type[StrictModel], path: list[str]) -> list[str]:
    """The keys that may stand at a place: ["defaults", "secrets", "0"] -> those of a Secret."""
    at: Any = model
    for key in path:
        at = at.model_fields[key].annotation if isinstance(at, type) and issubclass(at, StrictModel) else _inside(at)
        if get_origin(at) in (Union, types.UnionType):
            at = next(one for one in get_args(at) if one is not type(None))
    return list(at.model_fields)


def _inside(container: Any) -> Any:
    """dict[str, X] and tuple[X, ...] -> X."""
    return next(one for one in reversed(get_args(container)) if one is not Ellipsis)
