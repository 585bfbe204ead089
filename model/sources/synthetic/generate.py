"""A generated catalogue with planted truth: `pinclip generate --pins 2000 --boards 200 --seed 0 --out catalogue`.

generate(SyntheticConfig(pins=2000), Path("catalogue"))    ->  {"pins": 2000, "boards": 200, "edges": …, "fresh": …, …}

Every Pin, board and query is drawn from a random stream of its own, so the shards are byte for byte the same whenever
the configuration is (with the same package versions). Pins are drawn and written block by block, those of a large
catalogue by a process for each CPU: memory grows by some hundred bytes a Pin, not by its image.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from model.data.catalogue import OF_USERS, SCHEMAS, TEXT_SIGNALS, TIME, CatalogueWriter
from model.errors import ConfigError
from model.parallel import in_processes, in_turn
from model.sources.synthetic.phrases import board_title, pin_texts
from model.sources.synthetic.planting import (
    REGION_NAMES,
    Board,
    Plan,
    Query,
    board_users,
    boards,
    plant,
    preferences,
    queries,
    user_consent,
)
from model.sources.synthetic.scenes import render_scene
from model.sources.synthetic.themes import BOARDS, PINS, stream

BLOCK = 1024  # rows drawn at once, images included
ALONE = 8_192  # Pins at most that one process draws: starting others takes a second
DRAWN, FILLED = 0.8, 0.9  # share of the work done when all Pins are drawn, when all boards are filled


@dataclass(frozen=True)
class SyntheticConfig:
    """What to generate.

    Raises:
        ConfigError: a number outside its range.
    """

    pins: int = 2_000
    boards: int = 200
    seed: int = 0
    fresh_share: float = 0.2  # of the groups: the newest, made in the last 45 days
    image_size: int = 64  # pixels a side
    saves_per_pin: float = 3.0  # on average, less where boards run out of what they look for
    queries_per_pin: float = 0.2  # fewer where a large catalogue runs out of different ones
    users: int = 0  # 0: the catalogue names none

    def __post_init__(self) -> None:
        checks = (
            (2 <= self.pins <= 10_000_000, "pins", "at least 2 and at most 10,000,000"),
            (1 <= self.boards <= self.pins, "boards", f"at least 1 and at most one a Pin ({self.pins})"),
            (0 <= self.users <= self.boards, "users", f"0 for none, and at most one a board ({self.boards})"),
            (0 <= self.seed < 2**63, "seed", "a number from 0 to 2**63 - 1"),
            (0 <= self.fresh_share < 0.9, "fresh_share", "a share in [0, 0.9)"),
            (16 <= self.image_size <= 1024, "image_size", "16 to 1024 pixels"),
            (0 < self.saves_per_pin <= 100, "saves_per_pin", "above 0 and at most 100"),
            (0 <= self.queries_per_pin <= 10, "queries_per_pin", "0 to 10"),
        )
        for fits, name, range_ in checks:
            if not fits:
                raise ConfigError(f"Cannot generate a catalogue with {name} {getattr(self, name)}; choose {range_}.")


def generate(
    config: SyntheticConfig, out: Path, report: Callable[[float, str], None] = lambda fraction, message: None
) -> dict[str, int]:
    """Writes the catalogue to the folder `out`, replacing a catalogue there only when all is written.

    Args:
        report: called with the fraction done and a line of text after each block.

    Returns:
        Counts: pins, groups, fresh (Pins), boards, edges, queries, clicked (query-Pin pairs); users and preferences
        where they are asked for.
    """
    plan = plant(config.pins, config.seed, config.fresh_share)
    items = {table: 0 for table in SCHEMAS if config.users or table not in OF_USERS}
    rows_of = dict(items)
    with CatalogueWriter(out) as writer:
        for table, rows, count, fraction in _tables(plan, config):
            writer.write(table, rows)
            items[table] += count
            rows_of[table] += rows.num_rows
            report(fraction, f"{items[table]:,} {table} generated")
    report(1.0, f"Catalogue of {items['pins']:,} Pins, {rows_of['boards']:,} saves and {items['queries']:,} queries")
    made = {"groups": int(plan.group[-1]) + 1, "fresh": int(plan.fresh.sum())}
    return {**items, **made, "edges": rows_of["boards"], "clicked": rows_of["queries"]}


def _tables(plan: Plan, config: SyntheticConfig) -> Iterator[tuple[str, pa.Table, int, float]]:
    """Name of the table, rows, Pins or boards or queries in them, and the share of all work done then."""
    parts = [range(start, min(start + BLOCK, config.pins)) for start in range(0, config.pins, BLOCK)]
    each = in_turn if config.pins <= ALONE else in_processes
    for pins, rows in zip(parts, each(partial(_pin_rows, plan, config.image_size), parts), strict=True):
        yield "pins", rows, len(pins), DRAWN * pins.stop / config.pins
    owner = board_users(plan, config.boards, config.users)
    for block in _blocks(enumerate(boards(plan, config.boards, config.saves_per_pin)), 64):
        share = (block[-1][0] + 1) / config.boards
        rows, done = _board_rows(plan.seed, block), DRAWN + (FILLED - DRAWN) * share
        if config.users:
            repeats = [len(board.pins) for _, board in block]
            users = np.repeat([_user_id(owner[number]) for number, _ in block], repeats)
            rows = rows.append_column("user_id", pa.array(users, pa.string()))
            likes = _preference_rows(plan, block, owner)
            yield "preferences", likes, likes.num_rows, done
        yield "boards", rows, len(block), done
    if config.users:
        names = [_user_id(number) for number in range(config.users)]
        consent = user_consent(plan, config.users)
        yield "users", pa.table({"user_id": names, "consent": consent}), config.users, FILLED
    wanted = round(config.queries_per_pin * config.pins)
    for number, asked in enumerate(_blocks(queries(plan, wanted), 64)):
        share = min(1.0, 64 * (number + 1) / wanted)
        yield "queries", _query_rows(asked), len(asked), FILLED + (1 - FILLED) * share


def _pin_rows(plan: Plan, size: int, pins: range) -> pa.Table:
    columns: dict[str, list[Any]] = {"pin_id": [_pin_id(pin) for pin in pins], "image": []}
    columns |= {signal: [] for signal in TEXT_SIGNALS}
    for pin in pins:
        scene = plan.scene(pin)
        columns["image"].append(render_scene(scene, plan.seed, int(plan.group[pin]), pin, size))
        for signal, text in pin_texts(scene, stream(plan.seed, PINS, pin)).items():
            columns[signal].append(text)
    part = slice(pins.start, pins.stop)
    columns["group_id"] = [f"group-{group:08d}" for group in plan.group[part]]
    times = {"created_at": pa.array(plan.created[part], pa.int64()).cast(TIME), "consent": plan.consent[part]}
    columns["slice_region"] = [REGION_NAMES[code] for code in plan.region[part]]
    columns["slice_palette"] = ["dark" if dark else "light" for dark in plan.dark[part]]
    return pa.table({**columns, **times})


def _board_rows(seed: int, block: list[tuple[int, Board]]) -> pa.Table:
    """One row a save. A board's title comes from a stream above all boards' own."""
    titles = [board_title(board.theme, board.colour, stream(seed, BOARDS, 2**63 + number)) for number, board in block]
    repeats = [len(board.pins) for _, board in block]
    return pa.table(
        {
            "board_id": np.repeat([f"board-{number:07d}" for number, _ in block], repeats),
            "pin_id": [_pin_id(pin) for _, board in block for pin in board.pins],
            "title": np.repeat(titles, repeats),
            "saved_at": pa.array(np.concatenate([board.saved for _, board in block]), pa.int64()).cast(TIME),
        }
    )


def _preference_rows(plan: Plan, block: list[tuple[int, Board]], owner: np.ndarray) -> pa.Table:
    """What the users of some boards liked or bought of the Pins on them."""
    drawn = [(owner[number], *one) for number, board in block for one in preferences(plan, number, board)]
    users, pins, bought, times = (list(column) for column in zip(*drawn, strict=True)) if drawn else ([], [], [], [])
    columns = {
        "user_id": pa.array([_user_id(user) for user in users], pa.string()),
        "pin_id": pa.array([_pin_id(pin) for pin in pins], pa.string()),
        "kind": pa.array(["purchase" if one else "like" for one in bought], pa.string()),
        "weight": pa.array([5.0 if one else 1.0 for one in bought], pa.float64()),
        "time": pa.array(times, pa.int64()).cast(TIME),
    }
    return pa.table(columns)


def _user_id(number: int) -> str:
    return f"user-{number:06d}"


def _query_rows(block: list[Query]) -> pa.Table:
    return pa.table(
        {
            "query": np.repeat([query.text for query in block], [len(query.pins) for query in block]),
            "pin_id": [_pin_id(pin) for query in block for pin in query.pins],
            "clicks": np.concatenate([query.clicks for query in block]),
        }
    )


def _pin_id(pin: int) -> str:
    return f"pin-{pin:08d}"


def _blocks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of up to `size` items; a generator is read no further than needed."""
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block
