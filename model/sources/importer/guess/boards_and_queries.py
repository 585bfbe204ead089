"""Guesses whether a table holds boards, queries or annotations of Pins, or why it is not used."""

import re
from pathlib import Path

import yaml

from model.sources.importer.guess import roles
from model.sources.importer.guess.samples import Sample, as_id
from model.sources.importer.guess.spec_lines import commented, quoted, time_lines
from model.sources.importer.values.id_spellings import Spellings


def table_lines(sample: Sample, known: Spellings, pin_id: str) -> tuple[str, list[str]]:
    """(boards, queries, annotations or unused; the lines)."""
    pin = _pin_column(sample, known, pin_id)
    if pin is None:
        return "unused", [f"# {sample.table} is not used: none of its columns names Pins."]
    rest = [name for name in sample.columns if name != pin]
    table = sample.table.lower()
    board, query = roles.by_name(rest, roles.BOARD_IDS), roles.by_name(rest, roles.QUERIES)
    opening = [line if number else f"  -{line[1:]}" for number, line in enumerate(sample.opening())]
    opening = [opening[0], *(f"  {line}" for line in opening[1:])]
    reference = f"    pin_id: {quoted(pin)}  # its values are ids of Pins"
    if query and (re.search("search|quer|click|conver", table) or (not board and query.lower() != "keyword")):
        lines = [*opening, f"    query: {quoted(query)}  # by its name", reference]
        clicks = roles.by_name(rest, roles.CLICKS)
        return "queries", lines + ([f"    clicks: {quoted(clicks)}"] if clicks else [])
    words = roles.by_name(rest, roles.ANNOTATIONS)
    if words and not board:
        by = next((name for name in rest if any(weight in name.lower() for weight in roles.WEIGHTS)), None)
        more = f", by: {quoted(by)}" if by else ""
        table = ", ".join([sample.table, *(f"{key}: {sign}" for key, sign in sample.written().items())])
        value = f"{{table: {table}, key: {quoted(pin)}, value: {quoted(words)}{more}}}"
        return "annotations", commented("annotations", value, "a table of words")
    board = board or next((name for name in rest if name.lower().endswith("_id")), None)
    if board is None:
        group = next((name for name in rest if roles.groups(sample.columns[name], sample.columns[pin])), None)
        which = f"column {group}" if group else "a column"
        return "unused", [
            f"# {sample.table} is not used: it names Pins by {pin}, but neither boards nor queries. If {which} groups "
            f"Pins as people do, write boards: {{table: {sample.table}, board_id: {quoted(group or '…')}, "
            f"pin_id: {quoted(pin)}}}."
        ]
    lines = [*opening, f"    board_id: {quoted(board)}  # the things that hold several Pins", reference]
    title = roles.by_name([name for name in rest if name != board], roles.BOARD_TITLES)
    lines += [f"    title: {quoted(title)}"] if title else []
    user = roles.by_name([name for name in rest if name != board], roles.USERS)
    lines += [f"    user_id: {quoted(user)}  # whose boards these are, by its name"] if user else []
    return "boards", lines + [f"  {line}" for line in time_lines("saved_at", sample.columns, rest, roles.SAVED)]


def prefix_lines(sample: Sample, lines: list[str], earlier: set[str]) -> list[str]:
    """A prefix where the table numbers its boards like an earlier one; adds its ids to `earlier`."""
    board = yaml.safe_load("\n".join(lines))[0]["board_id"]
    found = {key for cell in sample.columns[board] if (key := as_id(cell))}
    shared = bool(found & earlier)
    earlier |= found
    name = re.sub(r"\W.*", "", Path(sample.table).stem) or "boards"
    return [f"    prefix: {name}-  # an earlier table has boards of the same ids"] if shared else []


def _pin_column(sample: Sample, known: Spellings, pin_id: str) -> str | None:
    """The column with the largest share of Pin ids; the name decides between equals."""
    shares = {}
    for name, cells in sample.columns.items():
        keys = [key for key in map(as_id, roles.filled(cells)) if key]
        found = known.find(keys)
        shares[name] = sum(key in found for key in keys) / len(keys) if keys else 0.0
    ids = (pin_id.lower(), *roles.PIN_IDS)
    best = max(shares, key=lambda name: (round(shares[name], 1), roles.by_name([name], ids) is not None))
    return best if shares[best] >= 0.1 else None
