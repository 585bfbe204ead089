"""One trial: the figures are those of the evaluation, and its seed moves the training alone."""

import pytest

from model.config.arms import arms
from model.config.overrides import override
from model.evaluation.evaluate import clip_vectors, pinclip_vectors, retrieval_metrics
from model.evaluation.tasks import evaluation_scope
from model.evaluation.trial import recalls, run_trial
from model.graph import neighbourhood


@pytest.fixture(scope="module")
def short(config):
    return override(config, {"train": {"epochs": 1}})


@pytest.fixture(scope="module")
def trial(tmp_path_factory, walked, short):
    """(record, work folder) with a seed that is not the split's."""
    work = tmp_path_factory.mktemp("trial")
    return run_trial(*walked, work, short, seed=5), work


def test_the_figures_are_those_of_the_judge(trial, walked, short):
    record, work = trial
    space = pinclip_vectors(work / "vectors")
    for scope, only in (("fresh", True), ("all", False)):
        judged = retrieval_metrics(space, evaluation_scope(*walked, only), short)
        assert record[scope]["related_pins"] == judged["related_pins"]["recall@10"]
        assert record[scope]["search"] == judged["search"]["recall@10"]
        both = [judged["pintext"][way]["recall@10"] for way in ("image_to_text", "text_to_image")]
        assert record[scope]["pintext"] == pytest.approx(sum(both) / 2, abs=1e-5)
    assert 0 < record["train_seconds"] <= record["seconds"]
    assert record["training_pins"] > record["steps"] > 0


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(tmp_path, trial, walked, short):
    record, _ = trial
    again = run_trial(*walked, tmp_path / "again", short, seed=5)
    other = run_trial(*walked, tmp_path / "other", short, seed=6)
    assert again["all"] == record["all"]
    assert other["all"] != record["all"]
    assert other["training_pins"] == record["training_pins"]


def test_the_clip_arm_is_judged_by_its_strongest_vector(tmp_path, walked, short):
    clip = arms(["clip"], short)["clip"]
    record = run_trial(*walked, tmp_path, clip, seed=0)
    assert record["fresh"] == recalls(
        retrieval_metrics(clip_vectors(tmp_path / "vectors"), evaluation_scope(*walked, True), clip)
    )


def test_with_pins_left_out_only_the_fresh_are_judged(tmp_path, walked, short):
    half = override(short, {"split": {"train_share": 0.6}})
    neighbourhood.build(walked[0], tmp_path / "neighbours", half)
    record = run_trial(walked[0], tmp_path / "neighbours", tmp_path, half, seed=0)
    assert "all" not in record
    assert record["fresh"]


def test_a_task_without_queries_is_absent():
    metrics = {
        "pintext": {"image_to_text": {"recall@1": 0.1, "recall@10": 0.4}, "text_to_image": {"recall@10": 0.2}},
        "related_pins": {"recall@10": 0.5, "ndcg@10": 0.6},
        "search": None,
    }
    assert recalls(metrics) == {"related_pins": 0.5, "image_to_text": 0.4, "text_to_image": 0.2, "pintext": 0.3}
    assert recalls(metrics | {"pintext": {"image_to_text": None, "text_to_image": None}}) == {"related_pins": 0.5}
