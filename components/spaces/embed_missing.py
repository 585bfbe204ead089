"""Embeds the Pins whose vectors a space lacks: those added to its catalogue since it was published, or all of them.

Shape legend: N Pins · E vector dimension
"""

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components.registry.artifacts import model_folder
from components.settings import Settings
from components.spaces.materialize import SaveHistory
from components.spaces.paths import state_folder
from model.config import Config
from model.config.folder import read_config
from model.data.boards_and_queries import KnownPins, prepare_boards, prepare_preferences
from model.data.catalogue import TIME, Catalogue, CatalogueWriter
from model.data.ledger import Ledger
from model.data.preparation import prepare, withheld
from model.data.reading import read_table, table_batches
from model.data.users import known_users
from model.embedding.columns import as_binary
from model.embedding.quantization import quantize
from model.embedding.stored import read_vectors
from model.errors import CatalogueError
from model.files import replaced
from model.graph.splits import split_pins
from serving.rows import write_rows
from serving.space import SpaceManifest

AT_ONCE = 128  # Pins of the catalogue looked at together


def kept_model(space: str, uri: str, settings: Settings) -> Path:
    """The version's model folder, copied beside the space's index once: the next sync needs no download.

    Raises:
        StoreError: MLflow does not answer, or has no such model.
    """
    import shutil

    folder = state_folder(space, settings) / "model"
    if not folder.is_dir():
        source = model_folder(uri, settings)
        with replaced(folder) as scratch:
            shutil.copytree(source, scratch)
    return folder


def embed_missing(space: SpaceManifest, source: Catalogue, model: Path, scratch: Path) -> int:
    """Embeds the catalogue's consented Pins that have no vector, by the space's affine, into one more shard.

    Services on the same folder find it as they find what others have pushed (serving/service/journal.py).
    """
    known = space.ids()
    wanted = read_table(source, "pins", ["pin_id"])["pin_id"].unique()
    lacking = pc.or_(pc.is_in(wanted, known), pc.is_in(wanted, withheld(source)))
    missing = wanted.filter(pc.invert(lacking)).drop_null()
    if not len(missing):
        return 0
    with CatalogueWriter(scratch / "missing") as writer:
        for rows in table_batches(source, "pins", source.columns("pins"), AT_ONCE):
            writer.write("pins", rows.filter(pc.is_in(rows["pin_id"], missing)))
    try:
        prepared, vectors = _embedded(Catalogue(scratch / "missing"), model, scratch, held_out=False)
    except CatalogueError:  # none of them can be used: each sync looks again, for the catalogue may be fixed
        return 0
    ids, now = Catalogue(prepared / "catalogue").read("pins", ["pin_id"])["pin_id"], datetime.now(UTC)
    stored = as_binary(space.affine.pack(space.affine.quantize(read_vectors(vectors, "pin"))))
    write_rows(space.folder / f"pushed-{time.time_ns()}-{uuid.uuid4().hex[:8]}.parquet", ids, stored, now, now)
    return len(ids)


def embed_all(source: Catalogue, model: Path, scratch: Path) -> tuple[Path, Path]:
    """(quantized, prepared), as the training pipeline makes them, of a version whose space is not there."""
    config = read_config(model)
    prepared, vectors = _embedded(source, model, scratch, held_out=True)
    pins = Catalogue(prepared / "catalogue").read("pins", ["pin_id", "group_id", "created_at"])
    split = split_pins(pins, config.split, config.seed)
    quantize(vectors, split.training, scratch / "quantized", config)
    return scratch / "quantized", prepared


def save_history(space: SpaceManifest, source: Catalogue, config: Config) -> SaveHistory:
    """Statistics and tastes come from these; Pins without a vector are in neither."""
    pins, gone = read_table(source, "pins", ["pin_id", "created_at"]), withheld(source)
    pins = pins.filter(pc.and_(pc.is_in(pins["pin_id"], space.ids()), pc.invert(pc.is_in(pins["pin_id"], gone))))
    first = pins.append_column("row", pa.array(range(pins.num_rows))).group_by("pin_id").aggregate([("row", "min")])
    pins = pins.take(first["row_min"].combine_chunks().sort())
    refused = read_table(source, "pins", ["pin_id"])["pin_id"].unique().drop_null()
    refused = refused.filter(pc.invert(pc.is_in(refused, pins["pin_id"].combine_chunks())))
    known, users = KnownPins(pins["pin_id"].combine_chunks(), refused, gone), known_users(source, Ledger())
    least, now = config.prepare.min_board_pins, datetime.now(UTC)
    boards, _ = prepare_boards(source, known, users, least, Ledger())
    preferences = prepare_preferences(source, known, users, boards, least, now, Ledger())
    if "saved_at" not in boards.column_names:
        boards = boards.append_column("saved_at", pa.nulls(boards.num_rows, TIME))
    return SaveHistory.of(pins, boards, preferences, config.prepare.taste_half_life_days)


def _embedded(source: Catalogue, model: Path, scratch: Path, held_out: bool) -> tuple[Path, Path]:
    """(prepared, vectors)"""
    from model.embedding.embedder import embed  # torch: only where there is something to embed

    config, prepared, vectors = read_config(model), scratch / "prepared", scratch / "vectors"
    prepare(source, prepared, config.prepare, image_size=config.vision.image_size)
    embed(prepared, model, vectors, held_out=held_out)
    return prepared, vectors
