"""The cells of a batch of rows as values: ids, without which a row is refused, and values that it may lack."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from model.sources.importer.report import Tally
from model.sources.importer.values.cells import BadValue, named, text


def ids(name: str, read: Callable[[Any], str | None], cells: Sequence[Any], refused: dict[int, str]) -> list[str]:
    """The cells as texts; an empty or invalid one becomes "" and its row gets a reason in `refused`."""
    known = dict[str, str]()  # neighbouring rows name the same boards and Pins
    names = []
    for row, cell in enumerate(cells):
        written = known.get(cell) if type(cell) is str else None
        if written is None:
            try:
                written = named(name, read, cell)
                if written is None:
                    raise BadValue(f"no {name}")
            except BadValue as bad:
                refused.setdefault(row, str(bad))
                written = ""
            else:
                if type(cell) is str:
                    known[cell] = written
        names.append(written)
    return names


def optional_values(name: str, read: Callable[[Any], Any], cells: Iterable[Any], tally: Tally) -> list[Any]:
    """Values; one that cannot be read is None and counted."""
    known = dict[str, Any]()  # the rows of a board repeat its title
    values = []
    for cell in cells:
        value = known.get(cell) if type(cell) is str else None
        if value is None:
            try:
                value = read(cell)
            except BadValue as bad:
                tally.left_empty[f"{name} {bad}"] += 1
            else:
                if type(cell) is str:
                    known[cell] = value
        values.append(value)
    return values


def required_values(name: str, read: Callable[[Any], Any], cells: Sequence[Any], refused: dict[int, str]) -> list[Any]:
    """Values, None where a cell is empty; the row of one that cannot be read gets its reason in `refused`."""
    values = []
    for row, cell in enumerate(cells):
        try:
            values.append(named(name, read, cell))
        except BadValue as bad:
            refused.setdefault(row, str(bad))
            values.append(None)
    return values


def row_key(end_cell: Any, pin_cell: Any) -> str | None:
    """`board → pin` or `query → pin`; empty if a row lacks one of them."""
    try:
        end, pin_id = text(end_cell), text(pin_cell)
    except BadValue:
        return None
    return f"{end} → {pin_id}" if end and pin_id else None
