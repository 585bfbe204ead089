"""The judgement: the keys that others read, figures against a naive reckoning, and null where nothing was measured."""

import json

import numpy as np
import pytest

from model.config import clip_baseline
from model.config.overrides import override
from model.embedding.affine import Affine
from model.embedding.columns import VectorColumn
from model.embedding.embedder import embed
from model.embedding.quantization import quantize
from model.embedding.stored import read_queries
from model.evaluation.evaluate import ModelVectors, clip_vectors, evaluate, pinclip_vectors, retrieval_metrics
from model.evaluation.tasks import evaluation_scope, related_task, search_task, text_tasks
from model.graph.neighbourhood import read_training
from model.training.loop import fit

RECALL, RELATED = {"recall@1", "recall@10"}, {"recall@10", "ndcg@10"}


@pytest.fixture(scope="module")
def judged(tmp_path_factory, walked, trained, embedded, config):
    """(metrics, the evaluation folder): the trained model stands in for the baseline too."""
    root, seen = tmp_path_factory.mktemp("judged"), []
    quantize(embedded, read_training(walked[1]), root / "quantized", config)
    metrics = evaluate(
        *walked, trained[0], embedded, embedded, root / "quantized", root / "evaluation", config,
        lambda share, message: seen.append(share),
    )  # fmt: skip
    assert seen == sorted(seen)
    return metrics, root / "evaluation"


def groups(metrics: dict) -> list[dict]:
    return [metrics, metrics["fresh"], metrics["baseline_clip"], metrics["baseline_clip"]["fresh"]]


def test_the_keys_are_those_that_others_read(judged):
    metrics, folder = judged
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    tasks = {"pintext", "related_pins", "search"}
    assert set(metrics) == tasks | {
        *("fresh", "baseline_clip", "over_clip", "quantization", "model", "catalogue", "slices"),
    }
    related = metrics["over_clip"]["related_pins"]
    assert related["ours"] == metrics["fresh"]["related_pins"]["recall@10"]
    assert related["clip"] == metrics["baseline_clip"]["fresh"]["related_pins"]["recall@10"]
    assert related["low"] <= related["difference"] <= related["high"]
    assert set(metrics["fresh"]) == tasks
    assert set(metrics["baseline_clip"]) == tasks | {"fresh"}
    for group in groups(metrics):
        assert {name: set(group["pintext"][name]) for name in group["pintext"]} == {
            "image_to_text": RECALL, "text_to_image": RECALL,
        }  # fmt: skip
        assert set(group["related_pins"]) == RELATED
        assert set(group["search"]) == {"recall@10"}
    assert {"bits", "bytes_per_pin", "retention", "interval"} <= set(metrics["quantization"])
    assert metrics["quantization"]["interval"].keys() <= metrics["quantization"]["retention"].keys()
    assert set(metrics["quantization"]["retention"]) <= {"image_to_text", "text_to_image", "related_pins", "search"}
    assert set(metrics["model"]) == {"version", "parameters"}
    assert {"pins", "boards", "edges", "digest"} <= set(metrics["catalogue"])


def test_slices_and_codes_lie_beside_the_metrics(judged):
    metrics, folder = judged
    by_slice = json.loads((folder / "slices.json").read_text())
    assert metrics["slices"] == {"largest": by_slice["largest"]}
    assert set(by_slice["scopes"]["fresh"]["search"]["columns"]) == {"region", "palette"}
    compared = json.loads((folder / "quantization_study.json").read_text())
    assert {entry["prefix"] for entry in compared["codes"]} == {16, 32}


def test_figures_of_the_run_are_true(judged, walked, trained):
    metrics, _ = judged
    stats = json.loads((walked[1] / "stats.json").read_text())
    assert all(metrics["catalogue"][name] == stats[name] for name in ("pins", "boards", "edges"))
    assert metrics["catalogue"]["digest"] == json.loads((walked[0] / "summary.json").read_text())["digest"]
    assert (metrics["quantization"]["bits"], metrics["quantization"]["bytes_per_pin"]) == (8, 32)
    assert metrics["model"]["parameters"] > 50_000


def naive_recall(asking, candidates, task, k=10) -> float:
    """Row by row: sort, drop what is excluded, count."""
    scores = []
    for i, row in enumerate(task.asking):
        gone = set() if task.excluded is None else set(task.excluded[i].tolist())
        ranked = [j for j in np.argsort(-(asking[row] @ candidates.T), kind="stable") if j not in gone][:k]
        scores.append(len(set(ranked) & set(task.relevant[i].tolist())) / min(k, len(task.relevant[i])))
    return round(float(np.mean(scores)), 5)


@pytest.mark.parametrize("only_fresh", [True, False])
def test_recalls_equal_a_naive_reckoning(judged, walked, embedded, config, only_fresh):
    metrics = judged[0]["fresh"] if only_fresh else judged[0]
    g, space, most = evaluation_scope(*walked, only_fresh), pinclip_vectors(embedded), config.evaluation.max_queries
    pins, images, asked = space.pins[0][g.pins], space.image[g.pins], space.query[np.arange(len(space.queries))]
    to_text, to_image, speakers = text_tasks(g)
    texts = space.text[g.pins][speakers]
    for k in (1, 10):
        figure = f"recall@{k}"
        assert metrics["pintext"]["image_to_text"][figure] == pytest.approx(
            naive_recall(images, texts, to_text.sampled(most, config.seed), k), abs=2e-5
        )
        assert metrics["pintext"]["text_to_image"][figure] == pytest.approx(
            naive_recall(texts, images, to_image.sampled(most, config.seed), k), abs=2e-5
        )
    related = related_task(g, most, config.seed).sampled(most, config.seed)
    assert metrics["related_pins"]["recall@10"] == pytest.approx(naive_recall(pins, pins, related), abs=2e-5)
    search = search_task(g, space.queries).sampled(most, config.seed)
    assert metrics["search"]["recall@10"] == pytest.approx(naive_recall(asked, pins, search), abs=2e-5)


def test_of_the_baselines_vectors_the_strongest_counts(judged, walked, embedded, config):
    g, space = evaluation_scope(*walked, only_fresh=True), clip_vectors(embedded)
    image, text, mean = (column[np.arange(len(column))] for column in space.pins)
    assert np.allclose(mean, (image + text) / np.linalg.norm(image + text, axis=1, keepdims=True), atol=1e-6)
    each = [
        retrieval_metrics(ModelVectors([p], space.image, space.text, space.queries, space.query), g, config)
        for p in space.pins
    ]
    best = judged[0]["baseline_clip"]["fresh"]
    for task in ("related_pins", "search"):
        assert best[task]["recall@10"] == max(metrics[task]["recall@10"] for metrics in each)
        assert best[task] in [metrics[task] for metrics in each]


def test_a_perfect_space_scores_one_and_coarse_codes_lose_it(walked, config):
    """A Pin's vector says which boards it is on: whoever shares one scores 1 or more, all others 0."""
    g = evaluation_scope(*walked, only_fresh=True)
    vectors = np.zeros((max(g.pins) + 1, g.boards.shape[1]), dtype=np.float32)
    vectors[g.pins] = g.boards.toarray()
    column = VectorColumn.of(vectors)
    space = ModelVectors([column], column, column, [], VectorColumn.of(vectors[:0]))
    assert retrieval_metrics(space, g, config)["related_pins"] == {"recall@10": 1.0, "ndcg@10": 1.0}
    assert retrieval_metrics(space, g, config)["search"] is None
    fine, coarse = (Affine(scale, 0, 8, vectors.shape[1]) for scale in (0.01, 10.0))
    assert retrieval_metrics(space.quantized(fine), g, config)["related_pins"]["recall@10"] == 1.0
    assert retrieval_metrics(space.quantized(coarse), g, config)["related_pins"]["recall@10"] < 0.5  # every code is 0


def test_examples_show_queries_with_their_results(judged, walked, config):
    examples = json.loads((judged[1] / "examples.json").read_text())
    assert set(examples) == {"related_pins", "search", "image_to_text"}
    for task, shown in examples.items():
        assert 0 < len(shown) <= 6
        for example in shown:
            assert set(example["query"]) == ({"text"} if task == "search" else {"pin_id"})
            assert example["relevant"] > 0
            scores = [result["score"] for result in example["results"]]
            assert scores == sorted(scores, reverse=True)
            for result in example["results"]:
                assert set(result) == {"text" if task == "image_to_text" else "pin_id", "score", "hit"}
    related = [(e["query"]["pin_id"], r["pin_id"]) for e in examples["related_pins"] for r in e["results"]]
    assert all(asking != found for asking, found in related)


@pytest.mark.parametrize("missing", ["boards", "queries", "texts"])
def test_a_task_that_cannot_be_measured_is_null(tmp_path, catalogue_of, picture, config, missing):
    """Not 0: nothing was wrong."""
    pins = [{"pin_id": f"p{i:02d}", "image": picture(i), "title": f"tea {i % 7}"} for i in range(80)]
    boards = [{"board_id": f"b{i % 3}", "pin_id": f"p{i:02d}"} for i in range(80)]
    queries = [{"query": f"tea {i % 3}", "pin_id": f"p{i:02d}"} for i in range(80)]
    if missing == "texts":
        pins = [{key: row[key] for key in ("pin_id", "image")} for row in pins]
    config = override(config, {"train": {"epochs": 1}})
    folders = catalogue_of(pins, [] if missing == "boards" else boards, [] if missing == "queries" else queries)
    for name, settings in (("model", config), ("baseline", clip_baseline(config))):
        fit(*folders, tmp_path / name, settings, lambda point: None)
        embed(folders[0], tmp_path / name, tmp_path / f"{name}-vectors")
    vectors = tmp_path / "model-vectors"
    quantize(vectors, read_training(folders[1]), tmp_path / "quantized", config)
    metrics = evaluate(
        *folders, tmp_path / "model", vectors, tmp_path / "baseline-vectors", tmp_path / "quantized",
        tmp_path / "evaluation", config,
    )  # fmt: skip
    json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    for group in groups(metrics):
        measured = {name: group[name] is not None for name in ("related_pins", "search")}
        measured["texts"] = None not in group["pintext"].values()
        wanted = {"related_pins": missing != "boards", "search": missing != "queries", "texts": missing != "texts"}
        assert measured == wanted
    assert read_queries(vectors)[0] == ([] if missing == "queries" else ["tea 0", "tea 1", "tea 2"])
    assert ("search" in metrics["quantization"]["retention"]) <= (missing != "queries")
