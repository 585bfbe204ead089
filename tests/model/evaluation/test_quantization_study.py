"""Recall against bytes: every code at every prefix, figures that the evaluation confirms, promises judged."""

import json

import numpy as np
import pytest

from model.config.overrides import override
from model.embedding.codes import NAMES
from model.embedding.quantization import calibration_pins
from model.evaluation.evaluate import pinclip_vectors, retrieval_metrics
from model.evaluation.quantization_study import study, targets
from model.evaluation.tasks import evaluation_scope
from model.graph.neighbourhood import read_training


@pytest.fixture(scope="module")
def studied(walked, embedded, config):
    space, seen = pinclip_vectors(embedded), []
    scopes = {"all": evaluation_scope(*walked, False), "fresh": evaluation_scope(*walked, True)}
    learning = calibration_pins(read_training(walked[1]), config)
    result = study(
        space.tables, scopes, space.queries, learning, [16, 32], config, lambda share, said: seen.append(share)
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1
    return result


def test_every_code_at_every_prefix_in_either_scope(studied):
    names = [(entry["scope"], entry["prefix"], entry["code"]) for entry in studied["codes"]]
    assert set(names) == {(scope, prefix, code) for scope in ("all", "fresh") for prefix in (16, 32) for code in NAMES}
    assert len(names) == len(set(names))
    assert json.loads(json.dumps(studied)) == studied


def test_bytes_are_true(studied):
    whole = {entry["code"]: entry for entry in studied["codes"] if entry["prefix"] == 32}
    assert {name: entry["bytes_per_pin"] for name, entry in whole.items()} == {
        "float32": 128, "int8": 32, "int8_per_dim": 32, "int4": 16, "int4_rotated": 16, "binary": 4, "binary_int8": 36,
    }  # fmt: skip
    assert whole["binary_int8"]["bytes_scanned"] == 4


def test_float32_at_full_length_is_the_evaluation(studied, walked, embedded, config):
    for scope in ("all", "fresh"):
        judged = retrieval_metrics(pinclip_vectors(embedded), evaluation_scope(*walked, scope == "fresh"), config)
        recalls = {**judged["pintext"], "related_pins": judged["related_pins"], "search": judged["search"]}
        (entry,) = [e for e in studied["codes"] if (e["scope"], e["prefix"], e["code"]) == (scope, 32, "float32")]
        for task, figures in entry["tasks"].items():
            assert figures["recall@10"] == pytest.approx(recalls[task]["recall@10"], abs=1e-5)
            assert (figures["retention"], figures["interval"], figures["overlap@10"]) == (1.0, [1.0, 1.0], 1.0)


def test_finer_codes_find_more_of_what_float_found(studied):
    for task in ("related_pins", "search", "image_to_text", "text_to_image"):
        overlap = {
            entry["code"]: entry["tasks"][task]["overlap@10"]
            for entry in studied["codes"]
            if (entry["scope"], entry["prefix"]) == ("all", 32)
        }
        assert 1 >= overlap["int8"] > overlap["int4"] > overlap["binary"]
        assert overlap["int8"] > 0.9


def test_a_large_scope_is_sampled(walked, embedded, config):
    space, config = pinclip_vectors(embedded), override(config, {"quantization": {"study_pins": 60}})
    learning = calibration_pins(read_training(walked[1]), config)
    result = study(space.tables, {"all": evaluation_scope(*walked, False)}, space.queries, learning, [32], config)
    assert max(figures["queries"] for entry in result["codes"] for figures in entry["tasks"].values()) <= 60


def test_codes_learn_from_the_given_pins_alone(walked, embedded, config):
    space = pinclip_vectors(embedded)
    scopes = {"fresh": evaluation_scope(*walked, True)}
    few, many = (study(space.tables, scopes, space.queries, np.arange(n), [32], config) for n in (20, 200))
    assert few != many


@pytest.mark.parametrize(
    ("kept", "interval", "verdict"),
    [(0.99, [0.97, 1.01], "met"), (0.97, [0.95, 0.985], "open"), (0.9, [0.85, 0.95], "missed")],
)
def test_a_promise_is_met_open_or_missed(kept, interval, verdict):
    figures = {
        "search": {"retention": kept, "interval": interval},
        "related_pins": {"retention": None, "interval": None},
    }
    entries = [
        {"scope": "all", "prefix": prefix, "code": code, "tasks": figures}
        for prefix in (32, 64)
        for code in ("int4", "binary")
    ]
    (target,) = targets(entries, dim=64)
    assert target == {
        **{"scope": "all", "code": "int4", "task": "search", "floor": 0.98},
        **{"retention": kept, "interval": interval, "verdict": verdict},
    }
