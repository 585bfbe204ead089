"""A look at today's catalogue: a sample of its Pins goes through the same steps as for training and publishing.

    collected/facts.parquet        of the sample (model/drift/facts.py), with the column `scope`
              reference.parquet    of what the space was trained on
              vectors.safetensors  before, all, new, canaries_before, canaries: as stored, not brought to length 1
              sample.json            the space, the time, counts, and what the store serves

"all" is a sample of the catalogue, "new" one of the Pins without a published vector. Canaries are published Pins that
are still there: their images and texts of today, through the model of today, beside their published vectors.
The sample is drawn by the Pins' ids, so that two looks see the same Pins.
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from components.configuration import Configuration
from components.monitoring.config import MonitoringConfig
from components.monitoring.store_checks import Published, sample_online_store
from components.registry.artifacts import model_folder
from components.retries import with_retries
from components.settings import Settings
from components.spaces.drift_reference import read_reference
from components.spaces.published_spaces import published_spaces
from components.tombstones import source_catalogue
from model.config import PrepareConfig
from model.data.catalogue import TEXT_SIGNALS, Catalogue, CatalogueWriter, joined_texts
from model.data.preparation import prepare
from model.data.reading import read_table, table_batches
from model.drift.facts import KEPT, drift_facts, some
from model.embedding.embedder import BLOCK, Embedder
from model.files import replaced, write_json

Progress = Callable[[float, str], None]  # share done, what has been done


@dataclass(frozen=True)
class Chosen:
    """The pin_ids that are looked at."""

    all: set[str]
    new: set[str]
    canaries: set[str]

    @staticmethod
    def of(there: list[str], published_ids: set[str], config: MonitoringConfig) -> "Chosen":
        new = [pin_id for pin_id in there if pin_id not in published_ids]
        known = [pin_id for pin_id in there if pin_id in published_ids]
        wanted = (there, config.pins), (new, config.pins), (known, config.canaries)
        return Chosen(*({ids[place] for place in some(ids, count)} for ids, count in wanted))

    @property
    def ids(self) -> set[str]:
        return self.all | self.new | self.canaries


@with_retries
def collect(
    catalogue: Path,
    config: Configuration,
    out: Path,
    settings: Settings,
    report: Progress = lambda fraction, message: None,
) -> dict[str, Any]:
    """Looks at the space that serves; writes the folder above and returns sample.json.

    Raises:
        StoreError: no space is published, or MLflow, Feast or Redis does not answer.
        CatalogueError: there is no catalogue, or none of the Pins looked at can be used.
    """
    manifests, serving = published_spaces(settings)
    space, now = manifests[serving], datetime.now(UTC)
    reference = read_reference(space.name, settings)
    source, before = source_catalogue(catalogue, settings), Published.of(space)
    there = read_table(source, "pins", ["pin_id"])["pin_id"].drop_null().unique()
    chosen = Chosen.of(there.to_pylist(), set(before.pin_ids.to_pylist()), config.monitoring)
    report(0.1, f"{len(chosen.ids):,} of {len(there):,} Pins are looked at")
    with tempfile.TemporaryDirectory(prefix="pinclip-") as scratch:
        prepared = _prepared(source, chosen.ids, config.prepare, Path(scratch))
        report(0.4, "images and texts read")
        facts = drift_facts(prepared)
        ids, vectors_NE = _embedded(prepared, model_folder(space.model, settings), before)
    report(0.7, f"{len(ids):,} Pins embedded")
    whole = [pin_id for pin_id in ids if pin_id in chosen.all]
    served = sample_online_store(whole, before, config.monitoring.pairs, settings, now)
    report(0.9, "the store has been asked")
    look = {
        "space": space.name,
        "model": space.model,
        "published": space.created.isoformat(),
        "catalogue": str(catalogue),
        "time": now.isoformat(timespec="seconds"),
        "pins": len(there),
        "newest_pin": _newest_pin(source),
        **asdict(served),
    }
    with replaced(out) as folder:
        folder.mkdir()
        pq.write_table(_scoped(facts, chosen), folder / "facts.parquet")
        pq.write_table(reference, folder / "reference.parquet")
        save_file(_matrices(ids, vectors_NE, chosen, before), folder / "vectors.safetensors")
        write_json(folder / "sample.json", look)
    return look


def _prepared(source: Catalogue, ids: set[str], limits: PrepareConfig, folder: Path) -> Path:
    """The sample as a catalogue of its own, prepared as for training: consent first, then what can be read."""
    wanted = pa.array(sorted(ids), pa.string())
    with CatalogueWriter(folder / "sample") as writer:
        for rows in table_batches(source, "pins", source.columns("pins"), BLOCK):
            if (some_rows := rows.filter(pc.is_in(rows["pin_id"], value_set=wanted))).num_rows:
                writer.write("pins", some_rows)
    prepare(Catalogue(folder / "sample"), folder / "prepared", limits)
    return folder / "prepared"


def _embedded(prepared: Path, model: Path, before: Published) -> tuple[list[str], np.ndarray]:
    """pin_ids and vectors (N, E) of the prepared Pins, as they would be stored."""
    embedder, ids, blocks = Embedder(model), [], []
    for batch in Catalogue(prepared / "catalogue").batches("pins", ["pin_id", "image", *TEXT_SIGNALS], BLOCK):
        columns = [joined_texts(batch.column(name).to_pylist()) for name in TEXT_SIGNALS]
        texts = [dict(zip(TEXT_SIGNALS, values, strict=True)) for values in zip(*columns, strict=True)]
        blocks.append(embedder.pins(batch.column("image").to_pylist(), texts))
        ids += batch.column("pin_id").to_pylist()
    affine = before.space.affine
    return ids, affine.dequantize(affine.quantize(np.concatenate(blocks)))


def _scoped(facts: pa.Table, chosen: Chosen) -> pa.Table:
    """Rows once for every scope that they are of, without names."""
    parts = []
    for scope, ids in (("all", chosen.all), ("new", chosen.new)):
        rows = facts.filter(pc.is_in(facts["pin_id"], value_set=pa.array(sorted(ids), pa.string())))
        parts.append(rows.append_column("scope", pa.array([scope] * rows.num_rows, pa.string())))
    return pa.concat_tables(parts).drop_columns("pin_id")


def _matrices(ids: list[str], vectors_NE: np.ndarray, chosen: Chosen, before: Published) -> dict[str, np.ndarray]:
    canaries = [pin_id for pin_id in ids if pin_id in chosen.canaries]
    scopes = {"all": chosen.all, "new": chosen.new, "canaries": chosen.canaries}
    rows = {name: [i for i, pin_id in enumerate(ids) if pin_id in of] for name, of in scopes.items()}
    known = before.pin_ids.take(some(before.pin_ids.to_pylist(), KEPT)).to_pylist()
    matrices = {name: vectors_NE[places] for name, places in rows.items()}
    return matrices | {"before": before.vectors(known), "canaries_before": before.vectors(canaries)}


def _newest_pin(source: Catalogue) -> str | None:
    """ISO 8601; null where no Pin says when it was made."""
    if "created_at" not in source.columns("pins"):
        return None
    newest = pc.max(read_table(source, "pins", ["created_at"])["created_at"]).as_py()
    return newest.isoformat() if newest else None
