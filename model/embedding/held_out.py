"""Pins that no training saw, embedded as pictures and texts of no catalogue are: tags are calibrated on them.

    vectors/held_out.parquet   pin_id · picture · texts · both     fixed-size lists of float32, L2-normalised

`picture` is the Pin's picture alone, `texts` its title, description and caption alone (zeros where it has none), `both`
the two. Annotations are left out: they are among what tags are compared with. The file's metadata keeps
prepare.min_board_pins, because words that say something about a person are no tags.

Shape legend: H held-out Pins · E vector dimension
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.config import Config
from model.data.catalogue import LONG_SIGNALS, Catalogue
from model.data.cleaning import RawTexts
from model.embedding.columns import as_matrix
from model.files import replaced
from model.graph.splits import split_pins

HELD_OUT_FILE = "held_out.parquet"
MOST = 1_000  # Pins
MODES = ("picture", "texts", "both")  # what is given of a Pin
_KEY = b"pinclip.min_board_pins"


@dataclass(frozen=True)
class HeldOut:
    ids: pa.Array
    vectors: dict[str, np.ndarray]  # by mode, float32 (H, E); zeros: nothing was given
    min_board_pins: int


def held_out_rows(catalogue: Catalogue, config: Config) -> np.ndarray:
    """Rising rows of at most MOST fresh Pins, drawn by seed."""
    pins = catalogue.read("pins", ["pin_id", "group_id", "created_at"])
    fresh = np.flatnonzero(split_pins(pins, config.split, config.seed).fresh)
    return np.sort(np.random.default_rng(config.seed).permutation(fresh)[:MOST])


def write_held_out(
    catalogue: Catalogue, rows_H: np.ndarray, config: Config, block: Callable[..., np.ndarray], at_once: int, file: Path
) -> None:
    """block(rows, has_image, texts): the vectors (n, E) of `at_once` Pins or fewer."""
    pins = _rows(catalogue, rows_H)
    texts: list[RawTexts] = [
        {name: text for name, text in one.items() if text} for one in pins.select(LONG_SIGNALS).to_pylist()
    ]
    columns: dict[str, pa.Array] = {"pin_id": pins["pin_id"]}
    for mode in MODES:
        has_image, given = mode != "texts", texts if mode != "picture" else [{} for _ in texts]
        parts = [
            block(rows_H[i : i + at_once], has_image, given[i : i + at_once]) for i in range(0, len(rows_H), at_once)
        ]
        vectors_HE = np.concatenate(parts)
        if mode == "texts":
            vectors_HE[[not one for one in texts]] = 0
        columns[mode] = pa.FixedSizeListArray.from_arrays(pa.array(vectors_HE.ravel()), vectors_HE.shape[1])
    about = {_KEY: json.dumps(config.prepare.min_board_pins).encode()}
    with replaced(file) as scratch:
        pq.write_table(pa.table(columns).replace_schema_metadata(about), scratch)


def read_held_out(file: Path) -> HeldOut:
    table = pq.read_table(file)
    least = json.loads((table.schema.metadata or {}).get(_KEY, b"2"))
    return HeldOut(
        table["pin_id"].combine_chunks(), {mode: as_matrix(table[mode].combine_chunks()) for mode in MODES}, least
    )


def _rows(catalogue: Catalogue, rows_H: np.ndarray) -> pa.Table:
    """pin_id and the long texts of these rows, which rise; the other rows' texts are never held together."""
    parts, first = [], 0
    for batch in catalogue.batches("pins", ["pin_id", *LONG_SIGNALS]):
        here = rows_H[(rows_H >= first) & (rows_H < first + batch.num_rows)] - first
        parts.append(pa.Table.from_batches([batch]).take(here))
        first += batch.num_rows
    return pa.concat_tables(parts).combine_chunks()
