"""What the scores of tags are worth in a space, learned when it is published and kept with it (model/tags)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.settings import Settings
from components.spaces.paths import state_folder
from model.data.catalogue import Catalogue
from model.embedding.affine import read_affine
from model.embedding.held_out import HELD_OUT_FILE, HeldOut, read_held_out
from model.graph.splits import group_names
from model.tags.calibration import TAGS_FILE
from model.tags.held_out import Judged, calibrated, judged
from model.tags.vocabulary import PinWords


def keep_tag_calibration(quantized: Path, catalogue: Catalogue, space: str, settings: Settings) -> None:
    """A folder without held-out Pins leaves none."""
    if (quantized / HELD_OUT_FILE).is_file():
        held_out, found = held_out_proposals(quantized, catalogue)
        calibrated(found, held_out.min_board_pins).write(state_folder(space, settings) / TAGS_FILE)


def held_out_proposals(quantized: Path, catalogue: Catalogue) -> tuple[HeldOut, dict[str, Judged]]:
    """(the held-out Pins, by what is given of them the words that their nearest Pins propose)"""
    held_out, shards = read_held_out(quantized / HELD_OUT_FILE), sorted((quantized / "pins").glob("*.parquet"))
    ids = pa.concat_tables(pq.read_table(shard, columns=["pin_id"]) for shard in shards)["pin_id"].combine_chunks()
    pins, affine = catalogue.read("pins", ["pin_id", "group_id"]), read_affine(quantized)
    groups = dict(zip(pins["pin_id"].to_pylist(), group_names(pins), strict=True))

    def blocks() -> Iterator[np.ndarray]:
        for shard in shards:
            packed = b"".join(pq.read_table(shard, columns=["vector"])["vector"].to_pylist())
            yield affine.vectors(affine.unpack(np.frombuffer(packed, np.uint8).reshape(-1, affine.bytes_per_pin)))

    return held_out, judged(held_out, PinWords.read(catalogue), ids, groups, blocks)
