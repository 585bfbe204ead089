"""Evaluates a model: PinText, Related Pins and Search, over all Pins and over fresh Pins, float and quantized.

evaluation/  metrics.json             the figures (keys in README)
             examples.json            a few queries of each task with their results, for people to look at
             slices.json              recall by slice (model/evaluation/slices.py)
             quantization_study.json  recall against bytes of every code (model/evaluation/quantization_study.py)

Vectors stay in their shards and are read a part at a time (model/embedding/columns.py); benchmarks/memory.py measures
it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from model.config import Config
from model.embedding.affine import Affine, read_affine, unit_length
from model.embedding.columns import VectorColumn
from model.embedding.quantization import calibration_pins
from model.embedding.retrieval import top_k_of_blocks
from model.embedding.stored import query_column, read_words, vector_column
from model.evaluation.metrics import hits, ndcg_at_k, recall_at_k
from model.evaluation.paired import difference
from model.evaluation.quantization_study import retention_intervals, study
from model.evaluation.questions import Answers, K, Key, Question, Tables, answered, questions
from model.evaluation.slices import slices
from model.evaluation.tasks import EvaluationScope, Task, evaluation_scope, related_task, search_task, text_tasks
from model.files import replaced, write_json
from model.graph.neighbourhood import read_training
from model.network.checkpoint import count_parameters, load_model

SCOPES = ("all", "fresh")
EXAMPLES = 6  # of each task in examples.json
Metrics = dict[str, Any]


@dataclass(frozen=True)
class ModelVectors:
    """One model's vectors. `pins`: the candidates for Related Pins and Search, tried in turn, the best counting."""

    pins: list[VectorColumn]
    image: VectorColumn
    text: VectorColumn
    queries: list[str]
    query: VectorColumn

    @property
    def tables(self) -> Tables:
        return {"pin": self.pins[0], "image": self.image, "text": self.text, "query": self.query}

    def quantized(self, affine: Affine) -> "ModelVectors":
        def through(column: VectorColumn) -> VectorColumn:
            return column.map(lambda x: affine.vectors(affine.quantize(x)))

        return ModelVectors(
            [through(p) for p in self.pins], through(self.image), through(self.text), self.queries, self.query
        )


def pinclip_vectors(vectors: Path) -> ModelVectors:
    pin, image, text = (vector_column(vectors, name) for name in ("pin", "image", "text"))
    return ModelVectors([pin], image, text, read_words(vectors), query_column(vectors))


def clip_vectors(vectors: Path) -> ModelVectors:
    """The CLIP objective trains no fused vector."""
    image, text = vector_column(vectors, "image"), vector_column(vectors, "text")
    return two_towers(image, text, read_words(vectors), query_column(vectors))


def two_towers(image: VectorColumn, text: VectorColumn, queries: list[str], query: VectorColumn) -> ModelVectors:
    """Without a fused vector image, text or their mean stands for the Pin, the strongest counts."""
    mean = image.map(lambda x, y: unit_length(x + y), text)
    return ModelVectors([image, text, mean], image, text, queries, query)


def evaluate(
    prepared: Path,
    neighbours: Path,
    model: Path,
    vectors: Path,
    baseline: Path,
    quantized: Path,
    out: Path,
    config: Config,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> Metrics:
    """Writes the folder above and returns the metrics."""
    scopes = {name: evaluation_scope(prepared, neighbours, only_fresh=name == "fresh") for name in SCOPES}
    ours, affine = pinclip_vectors(vectors), read_affine(quantized)
    asked = {name: questions(scope, ours.queries, config) for name, scope in scopes.items()}
    found = _by_scope(ours, asked)
    metrics = _figures_by_scope(asked, found)
    report(0.2, "PinCLIP judged")
    theirs = _by_scope(clip_vectors(baseline), asked)
    metrics["baseline_clip"] = _figures_by_scope(asked, theirs)
    metrics["over_clip"] = _differences(asked["fresh"], found["fresh"], theirs["fresh"], config.seed)
    rough = _figures_by_scope(asked, _by_scope(ours.quantized(affine), asked))
    report(0.4, "CLIP baseline and codes judged")
    metrics["quantization"] = {
        "bits": affine.bits,
        "bytes_per_pin": affine.bytes_per_pin,
        "scale": affine.scale,
        "zero_point": affine.zero_point,
        "retention": _retention(metrics, rough),
    }
    encoder, _ = load_model(model)
    metrics["model"] = {"version": None, "parameters": count_parameters(encoder)}
    metrics["catalogue"] = _catalogue_facts(prepared, neighbours)
    by_slice = slices(asked, found, prepared, config)
    metrics["slices"] = {"largest": by_slice["largest"]}
    report(0.5, "slices measured")
    learning = calibration_pins(read_training(neighbours), config)
    compared = study(
        ours.tables, scopes, ours.queries, learning, _prefixes(vectors), config,
        lambda share, message: report(0.5 + 0.5 * share, message),
    )  # fmt: skip
    metrics["quantization"]["interval"] = retention_intervals(compared, f"int{affine.bits}", affine.dim)
    with replaced(out) as scratch:
        scratch.mkdir()
        write_json(scratch / "metrics.json", metrics)
        write_json(scratch / "examples.json", _examples(ours, scopes["fresh"], _pin_ids(vectors), config))
        write_json(scratch / "slices.json", by_slice)
        write_json(scratch / "quantization_study.json", compared)
    return metrics


def retrieval_metrics(vectors: ModelVectors, scope: EvaluationScope, config: Config) -> Metrics:
    """The figures of one model in one scope; None for a task without a single answerable query."""
    asked = questions(scope, vectors.queries, config)
    return figures(asked, answers(vectors, asked))


def answers(vectors: ModelVectors, asked: Mapping[Key, Question]) -> dict[Key, np.ndarray]:
    """What exact search finds; where several columns stand for the Pin, by the one that finds most."""
    found = answered(asked, vectors.tables)
    of_pins = {key: one for key, one in asked.items() if "pin" in (one.asks, one.answers)}
    for pins in vectors.pins[1:]:
        again = answered(of_pins, {**vectors.tables, "pin": pins})
        found |= {key: _better(one, found[key], again[key]) for key, one in of_pins.items()}
    return found


def figures(asked: Mapping[str, Question], found: Answers) -> Metrics:
    """recall@k and NDCG@k by task; None for a task that nobody asks."""

    def of(task: str, *cuts: int) -> Metrics | None:
        if task not in asked:
            return None
        right_QK, counts = asked[task].hits(found[task]), asked[task].counts
        values = {f"recall@{k}": recall_at_k(right_QK, counts, k).mean() for k in cuts}
        if task == "related_pins":
            values[f"ndcg@{K}"] = ndcg_at_k(right_QK, counts, K).mean()
        return {name: round(float(value), 5) for name, value in values.items()}

    return {
        "pintext": {task: of(task, 1, K) for task in ("image_to_text", "text_to_image")},
        "related_pins": of("related_pins", K),
        "search": of("search", K),
    }


def _better(question: Question, *found: np.ndarray) -> np.ndarray:
    return max(found, key=lambda found_QK: question.recall(found_QK).mean())


def _by_scope(vectors: ModelVectors, asked: Mapping[str, Mapping[str, Question]]) -> dict[str, Answers]:
    """Answers to the questions of all scopes, searched for together."""
    found = answers(vectors, {(scope, task): one for scope, tasks in asked.items() for task, one in tasks.items()})
    return {scope: {task: found[scope, task] for task in tasks} for scope, tasks in asked.items()}


def _figures_by_scope(asked: Mapping[str, Mapping[str, Question]], found: Mapping[str, Answers]) -> Metrics:
    """As metrics.json has them: the figures over all Pins, and those over fresh ones under their name."""
    over_all, fresh = (figures(asked[scope], found[scope]) for scope in SCOPES)
    return {**over_all, "fresh": fresh}


def _differences(asked: Mapping[str, Question], ours: Answers, clip: Answers, seed: int) -> Metrics:
    """recall@10 of each task beside that of the CLIP objective, with the interval of the difference."""
    recalls = {task: (one.recall(ours[task]), one.recall(clip[task])) for task, one in asked.items()}
    return {task: difference(*recalls[task], one.groups, seed, "clip") for task, one in asked.items()}


def _retention(exact: Metrics, rough: Metrics) -> dict[str, float]:
    """Quantized over float recall@10 of every task, over both scopes: a few fresh queries alone are mostly noise."""
    exact_recalls, rough_recalls = _recalls_by_task(exact), _recalls_by_task(rough)
    return {name: round(rough_recalls[name] / value, 5) for name, value in exact_recalls.items() if value > 0}


def _recalls_by_task(metrics: Metrics) -> dict[str, float]:
    """recall@10 of each measured task, summed over all Pins and fresh Pins."""
    totals: dict[str, float] = {}
    for scope in (metrics, metrics["fresh"]):
        tasks = {**scope["pintext"], "related_pins": scope["related_pins"], "search": scope["search"]}
        for name, figures in tasks.items():
            if figures is not None:
                totals[name] = totals.get(name, 0.0) + figures[f"recall@{K}"]
    return totals


def _catalogue_facts(prepared: Path, neighbours: Path) -> dict[str, Any]:
    summary = json.loads((prepared / "summary.json").read_text(encoding="utf-8"))
    stats = json.loads((neighbours / "stats.json").read_text(encoding="utf-8"))
    told = ("pins", "fresh_pins", "boards", "users", "edges", "queries")  # users: where the catalogue names them
    facts = {name: stats[name] for name in told if name in stats}
    return {**facts, "digest": summary["digest"]}


def _prefixes(vectors: Path) -> list[int]:
    return json.loads((vectors / "embedding.json").read_text(encoding="utf-8"))["prefixes"]


def _pin_ids(vectors: Path) -> list[str]:
    shards = sorted((vectors / "pins").glob("*.parquet"))
    return [pin for shard in shards for pin in pq.read_table(shard, columns=["pin_id"])["pin_id"].to_pylist()]


def _examples(
    vectors: ModelVectors, scope: EvaluationScope, ids: list[str], config: Config
) -> dict[str, list[dict[str, Any]]]:
    """A few fresh queries of each task with their results."""
    to_text, _, speakers = text_tasks(scope)
    pin = lambda row: {"pin_id": ids[scope.pins[row]]}  # noqa: E731
    related = related_task(scope, config.evaluation.max_queries, config.seed).sampled(EXAMPLES, config.seed)
    search = search_task(scope, vectors.queries).sampled(EXAMPLES, config.seed)
    words = to_text.sampled(EXAMPLES, config.seed)
    pins, texts = vectors.pins[0], scope.pins[speakers]
    question, spoken = lambda row: {"text": vectors.queries[row]}, lambda row: {"text": scope.texts[speakers[row]]}
    return {
        "related_pins": _shown(pins[scope.pins[related.asking]], pins, scope.pins, related, pin, pin),
        "search": _shown(vectors.query[search.asking], pins, scope.pins, search, question, pin),
        "image_to_text": _shown(vectors.image[scope.pins[words.asking]], vectors.text, texts, words, pin, spoken),
    }


def _shown(
    asking_QE: np.ndarray,
    answers: VectorColumn,
    rows: np.ndarray,
    task: Task,
    question: Callable[[int], dict[str, str]],
    answer: Callable[[int], dict[str, str]],
) -> list[dict[str, Any]]:
    indices, scores = top_k_of_blocks(asking_QE, answers.blocks(rows), K, task.excluded)
    found = hits(indices, task.relevant)
    return [
        {
            "query": question(row),
            "relevant": len(task.relevant[i]),
            "results": [
                {**answer(c), "score": round(float(s), 4), "hit": bool(h)}
                for c, s, h in zip(indices[i], scores[i], found[i], strict=True)
                if c >= 0
            ],
        }
        for i, row in enumerate(task.asking)
    ]
