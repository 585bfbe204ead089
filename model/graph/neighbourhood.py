"""The step between data and training: split the Pins, hold out edges, walk the graph, keep what was found.

neighbours/  split.parquet       pin_id · fresh · training                one row a Pin, in the catalogue's order
             edges.parquet       pin · board · held_out                   rows of split.parquet, numbered boards
             texts.parquet       pin · text · held_out                    the queries and board titles of a Pin
             neighbours.parquet  pin · neighbour · weight                 training Pins only
             stats.json
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.config import Config
from model.data.catalogue import Catalogue, owners
from model.files import replaced, write_json
from model.graph.splits import Split, held_out, split_pins
from model.graph.walks import Adjacency, Neighbours, random_walk_neighbours
from model.parallel import Each, in_threads


@dataclass(frozen=True)
class Edges:
    """Edges of a bipartite graph: Pin–board (saves), Pin–user or Pin–text (queries clicked, titles of its boards)."""

    pin: np.ndarray  # row of the Pin
    other: np.ndarray  # number of the board, of the user or of the distinct text
    held_out: np.ndarray  # bool: kept from training, by the draw or because the Pin is not trained on


def build(
    prepared: Path,
    out: Path,
    config: Config,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    each: Each = in_threads,
) -> dict[str, Any]:
    """Writes the folder above and returns its stats; `each` walks the blocks of the graph (model/parallel.py)."""
    catalogue = Catalogue(prepared / "catalogue")
    pins = catalogue.read("pins", ["pin_id", "group_id", "created_at"])
    split = split_pins(pins, config.split, config.seed)
    report(0.1, "split")
    row = {pin: i for i, pin in enumerate(pins["pin_id"].to_pylist())}
    boards = catalogue.read("boards", ["board_id", "pin_id", "title", "user_id"])
    queries = catalogue.read("queries", ["query", "pin_id"])
    edges = _edges(boards, row, split, config)
    texts, distinct = _texts(boards, queries, row, split, config)
    preferences = catalogue.read("preferences", ["user_id", "pin_id"])
    walked = edges if config.graph.over == "boards" else _edges_of_users(edges, boards, preferences, row, split)
    graph = Adjacency.of(walked.pin[~walked.held_out], walked.other[~walked.held_out], len(row))
    neighbours = random_walk_neighbours(
        graph, config.graph, config.seed, lambda fraction: report(0.1 + 0.85 * fraction, "random walks"), each
    )
    stats = {
        "pins": len(row),
        "training_pins": int(split.training.sum()),
        "fresh_pins": int(split.fresh.sum()),
        "boards": len(set(boards["board_id"].to_pylist())),
        "edges": len(edges.pin),
        "held_out_edges": int(edges.held_out.sum()),
        "queries": len(distinct),
        "neighbour_pairs": len(neighbours.pin),
        "pins_with_neighbours": len(np.unique(neighbours.pin)),
    } | _counted_users(boards, preferences)
    with replaced(out) as scratch:
        scratch.mkdir()
        _write(scratch, pins["pin_id"], split, edges, texts, distinct, neighbours)
        write_json(scratch / "stats.json", stats)
    report(1.0, f"{stats['neighbour_pairs']} neighbour pairs")
    return stats


def read_fresh(neighbours: Path) -> np.ndarray:
    """Bool (pins,), True where fresh."""
    return pq.read_table(neighbours / "split.parquet", columns=["fresh"])["fresh"].to_numpy()


def read_training(neighbours: Path) -> np.ndarray:
    """Bool (pins,), True where trained on."""
    return pq.read_table(neighbours / "split.parquet", columns=["training"])["training"].to_numpy()


def read_pairs(neighbours: Path) -> Neighbours:
    table = pq.read_table(neighbours / "neighbours.parquet")
    return Neighbours(*(table[name].to_numpy() for name in ("pin", "neighbour", "weight")))


def read_edges(neighbours: Path) -> Edges:
    table = pq.read_table(neighbours / "edges.parquet")
    return Edges(*(table[name].to_numpy() for name in ("pin", "board", "held_out")))


def read_texts(neighbours: Path) -> tuple[Edges, list[str]]:
    """The edges between Pins and texts, and the distinct texts."""
    table = pq.read_table(neighbours / "texts.parquet")
    words = table["text"].combine_chunks().dictionary_encode()
    edges = Edges(table["pin"].to_numpy(), words.indices.to_numpy(), table["held_out"].to_numpy())
    return edges, words.dictionary.to_pylist()


def _edges(boards: pa.Table, row: dict[str, int], split: Split, config: Config) -> Edges:
    ids = boards["pin_id"].to_pylist()
    pin = np.fromiter((row[i] for i in ids), dtype=np.int32, count=len(ids))
    words = [
        title or board for board, title in zip(*(boards[n].to_pylist() for n in ("board_id", "title")), strict=True)
    ]
    board = np.unique(np.asarray(boards["board_id"].to_pylist(), dtype=str), return_inverse=True)[1].astype(np.int32)
    return Edges(pin, board, ~split.training[pin] | held_out(ids, words, config.split.heldout_edges, config.seed))


def _edges_of_users(edges: Edges, boards: pa.Table, preferences: pa.Table, row: dict[str, int], split: Split) -> Edges:
    """Edges between Pins and users, by all of a user's boards (those of `edges`, in their order) and the preferences.

    Where one save of a Pin is held out, nothing else joins it to its user: the other board, or a preference that tells
    of the same save, would give it away.
    """
    users = owners(boards).to_pylist() + preferences["user_id"].to_pylist()
    pins = np.array([row[i] for i in preferences["pin_id"].to_pylist()], dtype=np.int32)
    pin = np.concatenate([edges.pin, pins])
    names, user = np.unique(np.asarray(users, dtype=str), return_inverse=True)
    hidden = np.concatenate([edges.held_out, ~split.training[pins]])
    pair = pin.astype(np.int64) * len(names) + user
    return Edges(pin, user.astype(np.int32), np.isin(pair, pair[hidden]))


def _counted_users(boards: pa.Table, preferences: pa.Table) -> dict[str, int]:
    """How many users the catalogue names; nothing where it names none."""
    named = pa.chunked_array([*boards["user_id"].chunks, *preferences["user_id"].chunks], pa.string()).drop_null()
    return {"users": pc.count_distinct(named).as_py()} if len(named) else {}


def _texts(
    boards: pa.Table, queries: pa.Table, row: dict[str, int], split: Split, config: Config
) -> tuple[Edges, list[str]]:
    """Queries clicked on a Pin and titles of the boards it was saved to, each (Pin, words) once."""
    ids = boards["pin_id"].to_pylist() + queries["pin_id"].to_pylist()
    words = [(w or "").strip() for w in boards["title"].to_pylist() + queries["query"].to_pylist()]
    seen = sorted({(row[pin], word, pin) for pin, word in zip(ids, words, strict=True) if word})
    distinct = sorted({word for _, word, _ in seen})
    number = {word: i for i, word in enumerate(distinct)}
    pin = np.fromiter((p for p, _, _ in seen), dtype=np.int32, count=len(seen))
    text = np.fromiter((number[w] for _, w, _ in seen), dtype=np.int32, count=len(seen))
    drawn = held_out([i for _, _, i in seen], [w for _, w, _ in seen], config.split.heldout_edges, config.seed)
    return Edges(pin, text, ~split.training[pin] | drawn), distinct


def _write(
    folder: Path, ids: pa.ChunkedArray, split: Split, edges: Edges, texts: Edges, distinct: list[str],
    neighbours: Neighbours,
) -> None:  # fmt: skip
    words = pa.array(distinct, pa.string()).take(pa.array(texts.other))
    tables = {
        "split": {"pin_id": ids, "fresh": split.fresh, "training": split.training},
        "edges": {"pin": edges.pin, "board": edges.other, "held_out": edges.held_out},
        "texts": {"pin": texts.pin, "text": words, "held_out": texts.held_out},
        "neighbours": {"pin": neighbours.pin, "neighbour": neighbours.neighbour, "weight": neighbours.weight},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", compression="zstd")
