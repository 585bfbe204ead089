"""`pinclip import --guess TABLES…`: a first spec for tables that nobody has described, with its reasons as comments.

print(guess([Path("items.parquet"), Path("boards.csv")], root=Path(".")))
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from model.sources.importer.guess import roles
from model.sources.importer.guess.boards_and_queries import prefix_lines, table_lines
from model.sources.importer.guess.pins import column_lines, id_column, picture, pins_table
from model.sources.importer.guess.samples import as_id, pin_ids, read_samples
from model.sources.importer.guess.spec_lines import commented, quoted
from model.sources.importer.values.id_spellings import Spellings


def guess(tables: Sequence[Path], root: Path) -> str:
    """The text of a spec whose paths start at `root`.

    Raises:
        SpecError: a table is unreadable, or none of them holds Pins.
    """
    samples = read_samples(tables, root)
    pins = pins_table(samples)
    image, image_line = picture(pins, root)
    pin_id = id_column(pins, image)
    lines = ["# Guessed from the first rows of each table; check every line, docs/specs.md explains them.", "pins:"]
    lines += pins.opening()
    lines += commented(
        "pin_id", quoted(pin_id), "every row has its own" if roles.is_unique(pins.columns[pin_id]) else ""
    )
    lines += [image_line, *column_lines(pins, {pin_id, image or ""})]
    known = Spellings(sqlite3.connect(":memory:"), "pins")
    known.add([key for cell in pin_ids(pins, pin_id, root) if (key := as_id(cell)) is not None])
    boards, queries, unused = list[str](), list[str](), list[str]()
    board_ids = set[str]()
    for sample in samples:
        if sample is pins:
            continue
        kind, found = table_lines(sample, known, pin_id)
        if kind == "boards":
            found += prefix_lines(sample, found, board_ids)
        {"boards": boards, "queries": queries, "annotations": lines, "unused": unused}[kind].extend(found)
    titled = any(line.strip().startswith("title:") for line in boards)
    if boards:
        lines += ["boards:", *boards]
    if queries:
        lines += ["queries:", *queries]
    elif titled:
        lines += ["queries:", "  from: board_titles  # no table of searches, so every board's title asks for its Pins"]
    return "\n".join(lines + unused) + "\n"
