"""One trial of a study: a configuration is trained once, or a frozen model is taken as it is, and it is evaluated.

Two seeds are kept apart. config.seed has split the Pins and walked the graph, and it draws the judged queries: the same
for all trials of a study, so that they are compared on the same fresh Pins. The trial's own seed decides the initial
weights and the batches.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.config import Config
from model.embedding.embedder import embed
from model.evaluation.evaluate import Metrics, ModelVectors, clip_vectors, pinclip_vectors, retrieval_metrics
from model.evaluation.foreign import foreign_vectors
from model.evaluation.questions import K
from model.evaluation.tasks import evaluation_scope
from model.graph.neighbourhood import read_fresh, read_training
from model.network.checkpoint import count_parameters
from model.network.towers.opening import outline
from model.training.loop import fit

Recalls = dict[str, float]  # recall@10 by task; a task without a query is absent


def run_trial(
    prepared: Path,
    neighbours: Path,
    work: Path,
    config: Config,
    seed: int,
    report: Callable[[dict[str, Any]], None] = lambda point: None,
    extracted: Path | None = None,
) -> dict[str, Any]:
    """Trains and embeds in the folder `work`; returns recall@10 by task and the cost.

    `extracted`: extraction.json of frozen towers.

    Over fresh Pins (`fresh`), and over all (`all`) where none was left out.
    A trial that was killed goes on from its snapshot in `work`. Raises what model.training.loop.fit raises.
    """
    started = time.monotonic()
    fitted = fit(prepared, neighbours, work / "model", replace(config, seed=seed), report, extracted=extracted)
    trained = time.monotonic()
    embed(prepared, work / "model", work / "vectors", extracted=extracted)
    vectors = (pinclip_vectors if config.objective.trains_fusion else clip_vectors)(work / "vectors")
    return {
        **_judged(prepared, neighbours, vectors, config),
        "steps": fitted["steps"],
        "training_pins": fitted["pins"],
        "parameters": fitted["parameters"],
        "train_seconds": round(trained - started, 1),
        "seconds": round(time.monotonic() - started, 1),
    }


def judge_as_it_is(prepared: Path, neighbours: Path, config: Config, extracted: Path) -> dict[str, Any]:
    """What run_trial says, of the frozen image–text model in `config` without any training.

    Raises:
        ModelError: what is kept of it is not there.
    """
    started = time.monotonic()
    towers = [outline("vision", config.vision.pretrained, True), outline("text", config.text.pretrained, True)]
    return {
        **_judged(prepared, neighbours, foreign_vectors(prepared, extracted), config),
        "steps": 0,
        "training_pins": 0,
        "parameters": sum(map(count_parameters, towers)),
        "train_seconds": 0.0,
        "seconds": round(time.monotonic() - started, 1),
    }


def _judged(prepared: Path, neighbours: Path, vectors: ModelVectors, config: Config) -> dict[str, Recalls]:
    scopes = {"fresh": True}
    if (read_training(neighbours) | read_fresh(neighbours)).all():
        scopes["all"] = False
    return {
        name: recalls(retrieval_metrics(vectors, evaluation_scope(prepared, neighbours, only), config))
        for name, only in scopes.items()
    }


def recalls(metrics: Metrics) -> Recalls:
    """recall@10 of every measured task; `pintext` is the mean of its two directions."""
    tasks = {"related_pins": metrics["related_pins"], "search": metrics["search"], **metrics["pintext"]}
    found = {name: figures[f"recall@{K}"] for name, figures in tasks.items() if figures}
    if {"image_to_text", "text_to_image"} <= found.keys():
        found["pintext"] = round((found["image_to_text"] + found["text_to_image"]) / 2, 5)
    return found
