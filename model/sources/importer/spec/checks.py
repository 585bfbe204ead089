"""Checks of values in a spec: a mapping with known keys, a text, a column's name."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from model.errors import SpecError
from model.names import listed, shortened


@dataclass(frozen=True)
class Column:
    name: str
    optional: bool = False


def hint(name: str, known: Iterable[str], called: str = "known keys") -> str:
    """The nearest of the known names, then all of them; of many those that are most like it."""
    by_form = {each.lower(): each for each in reversed(list(known))}
    near = difflib.get_close_matches(name.lower(), by_form, n=1, cutoff=0.7)
    first = f"did you mean {shortened(by_form[near[0]])!r}? " if near else ""
    return f"{first}{called}: {listed(known, name)}."


def mapping(value: Any, where: str, known: Iterable[str], required: Iterable[str] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        wrong(where, value, "keys and values, e.g. `table: items.parquet`")
    for key in value:
        if key not in known:
            raise SpecError(f"{where} has no key {key!r}; {hint(str(key), known)}")
    for key in required:
        if key not in value:
            raise SpecError(f"{where} needs the key {key!r}; add it.")
    return value


def named_column(value: Any, where: str) -> Column:
    """`name`, or `name?` for one that may be absent."""
    name = text(value, where)
    return Column(name.removesuffix("?"), name.endswith("?"))


def text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        wrong(where, value, "a text (a name that looks like a number, yes or no goes in quotes)")
    return value


def choice(value: Any, where: str, known: Iterable[str]) -> str:
    if value not in known:
        raise SpecError(f"{where} is {value!r}; {hint(str(value), known, 'it takes')}")
    return str(value)


def wrong(where: str, value: Any, takes: str) -> NoReturn:
    raise SpecError(f"{where} is {value!r}; it takes {takes}.")
