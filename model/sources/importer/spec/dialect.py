"""How the files of a table are written: delimiter, quotes, escape and the marks of a missing value.

Every key may stand at the top of a spec, for all its tables, or in one table, for that one; docs/specs.md explains
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model.errors import SpecError
from model.sources.importer.spec.checks import wrong

DIALECT_KEYS = ("delimiter", "quotes", "escape", "missing")
NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "\\x01": "\x01"}


@dataclass(frozen=True)
class Dialect:
    delimiter: str | None = None  # None: the one that the header uses most
    quotes: str | None = '"'  # None: a quote is a character like any other
    sure: bool = False  # the spec names the quotes, so a value over several lines is not suspicious
    escape: str | None = None
    missing: frozenset[str] = (
        frozenset()
    )  # texts that are no value, beside those of model/sources/importer/values/cells.py


def read_dialect(section: Mapping[str, Any], where: str, base: Dialect) -> Dialect:
    """`base` changed by the keys that `section` has.

    Raises:
        SpecError: a value of another type, a delimiter of two characters.
    """
    found = base
    if "delimiter" in section:
        found = replace(found, delimiter=_character(section["delimiter"], f"{where}.delimiter"))
    if "quotes" in section:
        value = section["quotes"]
        found = replace(found, quotes=None if value == "none" else _character(value, f"{where}.quotes"), sure=True)
    if "escape" in section:
        found = replace(found, escape=_character(section["escape"], f"{where}.escape"))
    if "missing" in section:
        found = replace(found, missing=found.missing | _marks(section["missing"], f"{where}.missing"))
    named = [sign for sign in (found.delimiter, found.quotes, found.escape) if sign]
    if len(set(named)) < len(named) and not found.quotes == found.escape:
        raise SpecError(f"{where}: delimiter, quotes and escape must be different characters.")
    return found


def _marks(value: Any, where: str) -> frozenset[str]:
    marks = value if isinstance(value, list) else [value]
    if not all(isinstance(mark, str | int) and not isinstance(mark, bool) for mark in marks):
        wrong(where, value, 'a list of texts, e.g. ["-", "unknown"] (no, yes and null go in quotes)')
    return frozenset(str(mark).strip() for mark in marks)


def _character(value: Any, where: str) -> str:
    sign = NAMED.get(value, value) if isinstance(value, str) else ""
    if len(sign) == 1 and sign not in "\r\n":
        return sign
    takes = "one character in quotes, or none" if where.endswith("quotes") else "one character in quotes, or tab"
    return wrong(where, value, takes)
