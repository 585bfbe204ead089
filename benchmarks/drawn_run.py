"""The folders of a run that was never trained: catalogue, neighbours, vectors and codes, drawn in seconds.

    build(9261, Path("/tmp/evaluating/9261"), load("demo"))

Groups stand in themes, THEME to each. Boards and queries hold Pins of one theme, but for every fourth. The vectors lie
around those of their group, groups around their theme; every third Pin has exactly its group's vector, so that variants
have equal scores, which a search must order. Pictures are left out: who reads vectors needs none.

Shape legend: N Pins · G groups · T themes · W titles · E vector dimension · n Pins of a shard
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from model.config import Config
from model.data.catalogue import TIME, CatalogueWriter
from model.embedding.affine import unit_length
from model.embedding.quantization import quantize
from model.files import replaced, write_json
from model.graph import neighbourhood
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder

THEME = 50  # groups of a theme, titles of a theme
BOARD, QUERY = 15, 12  # Pins of one in the mean; there is one for every five Pins
SHARD = 4096  # Pins
Pairs = tuple[np.ndarray, np.ndarray]  # number of the board or query, row of the Pin


@dataclass(frozen=True)
class Drawn:
    theme_N: np.ndarray
    group_N: np.ndarray  # rising
    title_N: np.ndarray  # -1 without
    boards: Pairs
    queries: Pairs

    @staticmethod
    def of(pins: int, rng: np.random.Generator) -> "Drawn":
        variants = np.where(rng.random(pins) < 0.12, rng.integers(2, 5, pins), 1)
        group_N = np.repeat(np.arange(pins), variants)[:pins]
        theme_N = group_N // THEME
        title_N = np.where(rng.random(pins) < 0.05, -1, theme_N * THEME + rng.integers(0, THEME, pins))
        boards, queries = (_within(theme_N, pins // 5, size, rng) for size in (BOARD, QUERY))
        return Drawn(theme_N, group_N, title_N, boards, queries)


def build(pins: int, folder: Path, config: Config) -> None:
    """prepared, neighbours, vectors, quantized and model in `folder`; the model is untrained."""
    rng = np.random.default_rng(config.seed)
    drawn = Drawn.of(pins, rng)
    with replaced(folder) as scratch:
        _write_catalogue(drawn, scratch / "prepared")
        neighbourhood.build(scratch / "prepared", scratch / "neighbours", config)
        _write_vectors(drawn, scratch / "vectors", config, rng)
        learning = neighbourhood.read_training(scratch / "neighbours")
        quantize(scratch / "vectors", learning, scratch / "quantized", config)
        save_model(scratch / "model", PinEncoder(config), Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]")))


def _within(theme_N: np.ndarray, count: int, size: int, rng: np.random.Generator) -> Pairs:
    """Each pair once, by number."""
    number = np.repeat(np.arange(count), np.ceil(rng.lognormal(np.log(size) - 0.32, 0.8, count)).astype(np.int64))
    theme = rng.integers(0, theme_N[-1] + 1, count)[number]
    first, last = (np.searchsorted(theme_N, theme, side) for side in ("left", "right"))
    inside = first + (rng.random(len(number)) * (last - first)).astype(np.int64)
    pin = np.where(rng.random(len(number)) < 0.75, inside, rng.integers(0, len(theme_N), len(number)))
    number, pin = np.unique(np.stack([number, pin]), axis=1)
    return number, pin


def _write_catalogue(drawn: Drawn, prepared: Path) -> None:
    pins = len(drawn.theme_N)
    with CatalogueWriter(prepared / "catalogue", SHARD) as writer:
        for start in range(0, pins, SHARD):
            writer.write("pins", _pin_rows(drawn, range(start, min(start + SHARD, pins))))
        boards, saved = (_names(name, x) for name, x in zip(("board", "pin"), drawn.boards, strict=True))
        writer.write("boards", pa.table({"board_id": boards, "pin_id": saved, "title": boards}))
        words, clicked = (_names(name, x) for name, x in zip(("words", "pin"), drawn.queries, strict=True))
        writer.write("queries", pa.table({"query": words, "pin_id": clicked}))
    write_json(prepared / "summary.json", {"digest": f"drawn: {pins} Pins"})


def _pin_rows(drawn: Drawn, rows: range) -> pa.Table:
    theme, group, title = (x[rows.start : rows.stop] for x in (drawn.theme_N, drawn.group_N, drawn.title_N))
    return pa.table(
        {
            "pin_id": _names("pin", np.asarray(rows)),
            "image": [b""] * len(rows),
            "title": [None if number < 0 else f"title {number}" for number in title],
            "group_id": _names("group", group),
            "created_at": pa.array(group * 7919 % 1_000_003, pa.int64()).cast(TIME),  # in no order of the rows
            "slice_region": _names("region", group % 7),
            "slice_palette": _names("palette", theme % 40),
        }
    )


def _names(kind: str, numbers: np.ndarray) -> list[str]:
    """They sort as their numbers do."""
    return [f"{kind} {number:08d}" for number in numbers]


def _write_vectors(drawn: Drawn, out: Path, config: Config, rng: np.random.Generator) -> None:
    dim, pins = config.fusion.dim, len(drawn.theme_N)
    theme_TE, group_GE, title_WE = (
        rng.normal(size=(int(numbers.max()) + 1, dim)).astype(np.float32)
        for numbers in (drawn.theme_N, drawn.group_N, drawn.title_N)
    )
    group_GE += 2 * theme_TE[np.arange(len(group_GE)) // THEME]
    copies_N = rng.random(pins) < 1 / 3
    with replaced(out) as scratch:
        (scratch / "pins").mkdir(parents=True)
        for start in range(0, pins, SHARD):
            n = slice(start, min(start + SHARD, pins))
            own_nE, title_n = group_GE[drawn.group_N[n]], drawn.title_N[n, None]
            noise_nE = np.where(copies_N[n, None], 0, 0.7 * rng.normal(size=own_nE.shape))
            text_nE = np.where(title_n < 0, 0, title_WE[title_n[:, 0]] + 2 * theme_TE[drawn.theme_N[n]])
            vectors = {"pin": own_nE + noise_nE, "image": own_nE - noise_nE, "text": text_nE}
            table = {"pin_id": _names("pin", np.arange(n.start, n.stop)), **{k: _column(x) for k, x in vectors.items()}}
            pq.write_table(pa.table(table), scratch / "pins" / f"{start // SHARD:05d}.parquet")
        query, first = np.unique(drawn.queries[0], return_index=True)  # a query lies around one Pin clicked for it
        asked_QE = group_GE[drawn.group_N[drawn.queries[1][first]]] + rng.normal(size=(len(query), dim))
        pq.write_table(
            pa.table({"query": _names("words", query), "vector": _column(asked_QE)}), scratch / "queries.parquet"
        )
        write_json(scratch / "embedding.json", {"dim": dim, "prefixes": list(config.fusion.prefixes)})


def _column(x_nE: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(unit_length(x_nE.astype(np.float32)).ravel(), x_nE.shape[1])
