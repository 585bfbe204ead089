"""Sections of settings: frozen dataclasses whose types and bounds pydantic checks, and values laid over them by name.

@section
class GraphConfig:
    walks: int = Field(64, ge=1, le=100_000)

override(config, {"graph": {"walks": "16"}})     text is read by the field's type
"""

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from model.errors import ConfigError

Tree = TypeVar("Tree")
SectionType = TypeVar("SectionType", bound=type)
WORDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, Field))
def section(kind: SectionType) -> SectionType:
    """A frozen dataclass that takes no other keys, no other types (1.0 is no int, 1 is no bool), no NaN, no infinity.

    Constructed directly, it raises pydantic's ValidationError for a wrong value; override() raises a ConfigError of one
    sentence instead.
    """
    strict = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    kind.__eq__, kind.__repr__ = _equal, _shown  # type: ignore[assignment, method-assign]
    return typing.cast(SectionType, dataclass(frozen=True, config=strict)(kind))


def _equal(self: object, other: object) -> bool:
    """Compares parts (with_only) too, which lack fields that a dataclass would compare."""
    return type(self) is type(other) and vars(self) == vars(other)


def _shown(self: object) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


def override(node: Tree, values: Mapping[str, Any], path: str = "") -> Tree:
    """A copy of the dataclass tree `node` with the nested `values` set; text is read by the field's type.

    Raises:
        ConfigError: a key does not exist, or a value does not fit; one sentence, with the nearest key.
    """
    hints, changes = typing.get_type_hints(type(node)), dict[str, Any]()
    for key, value in values.items():
        kind, where = hints.get(key), f"{path}{key}"
        if kind is None:
            raise ConfigError(unknown(where, hints))
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where!r} is a section, not a value; set one of its keys, e.g. {where}.<key>=…")
            changes[key] = override(getattr(node, key, None) or typing.cast(type, kind)(), value, f"{where}.")
        elif isinstance(value, bool) and kind is not bool:  # pydantic would read it as 1 or 0
            raise ConfigError(f"{where} is {value}; it takes a value of type {getattr(kind, '__name__', kind)}.")
        else:
            changes[key] = _read_text(kind, value) if isinstance(value, str) else value
    changed = _checked(type(node), vars(node) | changes, path)
    return with_only(changed, vars(node) | changes)


def with_only(node: Tree, names: Iterable[str]) -> Tree:
    """The node with the fields of these names alone; reading any other raises AttributeError."""
    for name in {*vars(node)} - {*names}:
        object.__delattr__(node, name)
    return node


def refuse_unless(condition: bool, sentence: str) -> None:
    """Raises ConfigError; for a section's __post_init__, where pydantic's bounds cannot express a rule."""
    if not condition:
        raise ConfigError(sentence)


def unknown(where: str, known: Iterable[str]) -> str:
    """The sentence for a key that does not exist; `where` is its dotted name, `known` are the keys beside it."""
    path, _, key = where.rpartition(".")
    above = f"{path}." if path else ""
    near = difflib.get_close_matches(key, known, n=1)
    advice = f"did you mean {above}{near[0]}?" if near else f"known keys there: {', '.join(known)}."
    return f"There is no setting {where!r}; {advice}"


def _checked(kind: type[Tree], values: Mapping[str, Any], path: str) -> Tree:
    try:
        return TypeAdapter(kind).validate_python(dict(values), strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(_sentence(f"{path}{first['loc'][0]}", first)) from None


def _sentence(where: str, error: Any) -> str:
    given = error["input"]
    if isinstance(given, float) and given != given:
        return f"{where} is NaN; give a number."
    for name, words in WORDS.items():
        if name in error.get("ctx", {}):
            return f"{where} is {given}; choose {words} {error['ctx'][name]:g}."
    said = str(error["msg"]).partition(", unable")[0].replace("Input should be", "choose", 1)
    return f"{where} is {given!r}; {said[0].lower()}{said[1:]}."


def _read_text(kind: Any, text: str) -> Any:
    """Reads from text what pydantic does not: a list, and a number that is one of a few choices."""
    if typing.get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.strip("()[] ").split(",") if part.strip())
    if typing.get_origin(kind) is Literal:
        return next((choice for choice in typing.get_args(kind) if str(choice) == text), text)
    return text
