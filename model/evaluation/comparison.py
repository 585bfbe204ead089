"""A model beside the champion on the same fresh Pins: recall with the interval of the difference, time and size.

    {"champion":  {"version"}, null where there is none
     "unread":    why the champion was not compared, null
     "seen":      {"share", "exactly"}: share of fresh Pins that the champion was trained on; at most so, if not exactly
     "intervals": how they are made
     "tasks":     by task: queries, groups, ours, champion, difference, low, high (recall@10, fresh Pins)
     "compatible": {"version", "unread", "tasks"} (model/evaluation/compatibility.py), null where none is asked for
     "cost":      of both (model/evaluation/cost.py)}

The champion may read images of another size and give longer vectors: it embeds the fresh Pins anew.
Shape legend: Q queries · D draws · P Pins
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.config import Config
from model.config.folder import read_config
from model.data.catalogue import TIME, Catalogue, CatalogueWriter
from model.data.pixels import decode_catalogue
from model.embedding.embedder import embed
from model.evaluation.cost import TimedModel, cost
from model.evaluation.evaluate import ModelVectors, pinclip_vectors
from model.evaluation.paired import difference
from model.evaluation.questions import answered, questions
from model.evaluation.tasks import EvaluationScope, evaluation_scope
from model.graph.neighbourhood import read_fresh
from model.graph.splits import fresh_pins, split_pins
from model.network.checkpoint import load_model
from model.parallel import Each, in_turn

FRESH, VECTORS = "fresh", "vectors"  # of the champion, in its scratch folder
TIMED = 50  # Pins whose encoding is timed
INTERVALS = "95 %, percentile bootstrap over the groups that ask, 1,000 draws, the same for both"
NOTHING: dict[str, Any] = {
    "champion": None,
    "unread": None,
    "seen": None,
    "intervals": INTERVALS,
    "tasks": {},
    "compatible": None,
}


@dataclass(frozen=True)
class Champion:
    """A model to compare with: its folder, when it was registered, the digest of its catalogue ("": unknown)."""

    version: int
    folder: Path
    made: datetime
    catalogue_digest: str


def compare(
    prepared: Path,
    neighbours: Path,
    model: Path,
    vectors: Path,
    champion: Champion,
    scratch: Path,
    config: Config,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    each: Each = in_turn,
) -> dict[str, Any]:
    """The dictionary above. vectors: the model's, of the whole catalogue; scratch: a folder for the champion's.

    Raises:
        ModelError: the champion's folder cannot be read.
    """
    its, part = read_config(champion.folder), scratch / FRESH
    embed_fresh(prepared, neighbours, champion.folder, scratch, config, lambda f, m: report(0.7 * f, m), each)
    fresh = evaluation_scope(prepared, neighbours, only_fresh=True)
    tasks = differences(fresh, pinclip_vectors(vectors), pinclip_vectors(scratch / VECTORS), config)
    report(0.8, "judged")
    timed = _drawn(len(fresh.pins), config)
    pins = Catalogue(prepared / "catalogue").read("pins", ["pin_id", "group_id", "created_at"])
    digest = json.loads((prepared / "summary.json").read_text(encoding="utf-8"))["digest"]
    return {
        **NOTHING,
        "champion": {"version": champion.version},
        "seen": seen(pins, fresh.pins, champion, its, digest),
        "tasks": tasks,
        "cost": cost(
            TimedModel(model, prepared, fresh.pins[timed], config.quantization.bits),
            TimedModel(champion.folder, part, timed, its.quantization.bits),
        ),
    }


def embed_fresh(
    prepared: Path,
    neighbours: Path,
    model: Path,
    out: Path,
    config: Config,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    each: Each = in_turn,
) -> None:
    """The fresh Pins as the model reads them in out/FRESH, their vectors and those of all queries in out/VECTORS.

    Raises:
        ModelError: the model's folder cannot be read.
    """
    its, part = load_model(model)[0].config, out / FRESH
    fresh_part(prepared, neighbours, Config.of(prepare=asdict(config.prepare), vision=asdict(its.vision)), part)
    report(0.15, "fresh Pins decoded")
    embed(part, model, out / VECTORS, lambda f, m: report(0.15 + 0.85 * f, m), each)


def without_champion(prepared: Path, neighbours: Path, model: Path, config: Config) -> dict[str, Any]:
    """The same dictionary where there is no champion: only the model's own cost."""
    fresh = np.flatnonzero(read_fresh(neighbours))
    timed = fresh[_drawn(len(fresh), config)]
    return {**NOTHING, "cost": cost(TimedModel(model, prepared, timed, config.quantization.bits), None)}


def fresh_part(prepared: Path, neighbours: Path, config: Config, out: Path) -> None:
    """A prepared folder of the fresh Pins alone, in their order, with all queries."""
    source, fresh, done = Catalogue(prepared / "catalogue"), read_fresh(neighbours), 0
    with CatalogueWriter(out / "catalogue") as writer:
        for batch in source.batches("pins", source.columns("pins"), 256):
            kept = pa.array(fresh[done : done + batch.num_rows])
            writer.write("pins", pa.Table.from_batches([batch.filter(kept)]))
            done += batch.num_rows
        writer.write("queries", source.read("queries", ["query", "pin_id"]))
    decode_catalogue(Catalogue(out / "catalogue"), config.vision.image_size, config.prepare, out / "pixels.u8")


def differences(scope: EvaluationScope, ours: ModelVectors, champion: ModelVectors, config: Config) -> dict[str, Any]:
    """recall@10 of each task, and of both. ours: vectors of the whole catalogue; champion: of the Pins in `scope`."""
    asked = questions(scope, ours.queries, config)
    again = questions(replace(scope, pins=np.arange(len(scope.pins))), champion.queries, config)
    found, found_again = answered(asked, ours.tables), answered(again, champion.tables)
    recalls = {task: (one.recall(found[task]), again[task].recall(found_again[task])) for task, one in asked.items()}
    return {task: difference(*recalls[task], one.groups, config.seed, "champion") for task, one in asked.items()}


def seen(pins: pa.Table, fresh: np.ndarray, champion: Champion, its: Config, digest: str) -> dict[str, Any]:
    """How many of the Pins `fresh` (rows of `pins`) the champion was trained on; its: the champion's configuration.

    On the champion's own catalogue its split gives the exact share. On another the share is an upper bound: it leaves
    out Pins made after the champion and, where a hash drew the fresh Pins, those whose group that hash kept fresh.
    `pins` needs pin_id, group_id, created_at.
    """
    exactly = digest == champion.catalogue_digest
    trained_P = split_pins(pins, its.split, its.seed).training if exactly else _perhaps(pins, champion.made, its)
    return {"share": round(float(trained_P[fresh].mean()), 5), "exactly": exactly}


def _drawn(pins: int, config: Config) -> np.ndarray:
    return np.random.default_rng(config.seed).permutation(pins)[:TIMED]


def _perhaps(pins: pa.Table, made: datetime, its: Config) -> np.ndarray:
    """Bool (P,), False where the champion cannot have been trained on the Pin."""
    before = pc.fill_null(pc.less(pins["created_at"], pa.scalar(made, TIME)), True).to_numpy()
    drawn = its.split.by == "hash" or (its.split.by == "auto" and pins["created_at"].null_count > 0)
    return before & ~fresh_pins(pins, replace(its.split, by="hash"), its.seed) if drawn else before
