"""The gate on figures written by hand."""

import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gate import judge
from model.config import GateConfig

METRICS = {
    "fresh": {"related_pins": {"recall@10": 0.30}, "search": {"recall@10": 0.40}},
    "baseline_clip": {"fresh": {"related_pins": {"recall@10": 0.25}}},
    "quantization": {"retention": {"related_pins": 0.995, "search": 0.99}},
}
GATE = GateConfig(min_fresh_related=0.2, min_fresh_search=0.3, min_gain_over_clip=0.15, min_retention=0.98)


def changed(value, *path):
    metrics = copy.deepcopy(METRICS)
    node = metrics
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return metrics


def test_passes_when_every_floor_is_met_and_says_by_how_much():
    verdict = judge(METRICS, GATE)
    assert verdict.passed
    assert len(verdict.reasons) == 5
    assert "The gain over CLIP in Related Pins recall@10 on fresh Pins is 0.200; the floor is 0.150." in verdict.reasons


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("fresh", "related_pins", "recall@10"), 0.1, "Related Pins recall@10 on fresh Pins is 0.100, below the floor"),
        (("fresh", "search", "recall@10"), 0.2, "Search recall@10 on fresh Pins is 0.200, below the floor of 0.300."),
        (("baseline_clip", "fresh", "related_pins", "recall@10"), 0.3, "is 0.000, below the floor of 0.150."),
        (("quantization", "retention", "search"), 0.9, "worst task, is 0.900, below the floor of 0.980."),
        (("fresh", "search", "recall@10"), None, "was not measured; the floor is 0.300."),
        (("fresh", "search", "recall@10"), float("nan"), "was not measured"),
        (("quantization",), {}, "was not measured"),
    ],
)
def test_names_only_the_broken_floors(path, value, sentence):
    verdict = judge(changed(value, *path), GATE)
    assert not verdict.passed
    assert sentence in " ".join(verdict.reasons)
    assert all("below the floor" in reason or "not measured" in reason for reason in verdict.reasons)


def test_what_nobody_asked_for_cannot_be_missing():
    verdict = judge(changed({}, "fresh"), GateConfig())
    assert verdict.passed
    assert "Search recall@10 on fresh Pins was not measured; the floor is 0.000." in verdict.reasons


@pytest.mark.parametrize(("ours", "passed"), [(0.1, True), (0.0, False)])
def test_a_baseline_that_finds_nothing(ours, passed):
    metrics = changed(0.0, "baseline_clip", "fresh", "related_pins", "recall@10")
    metrics["fresh"]["related_pins"]["recall@10"] = ours
    assert judge(metrics, GateConfig(min_gain_over_clip=0.2)).passed is passed


LARGEST = {
    **{"scope": "fresh", "task": "text_to_image", "column": "region", "slice": "islands", "queries": 40},
    **{"recall@10": 0.1, "low": 0.05, "high": 0.15, "all": 0.3, "gap": 0.667, "sure_gap": 0.5},
}


@pytest.mark.parametrize(("ceiling", "passed"), [(0.6, True), (0.5, True), (0.4, False)])
def test_a_slice_too_far_below_is_named(ceiling, passed):
    verdict = judge(METRICS | {"slices": {"largest": LARGEST}}, replace(GATE, max_slice_gap=ceiling))
    assert verdict.passed is passed
    assert verdict.reasons[-1] == (
        "Text to image recall@10 of the slice region=islands, fresh Pins, is 0.100 (0.050 to 0.150), surely 50% below "
        f"the 0.300 of all slices; the ceiling is {ceiling:.0%}."
    )
    assert len(verdict.reasons) == (5 if passed else 1)


@pytest.mark.parametrize("slices", [{}, {"slices": {"largest": None}}])
def test_without_a_gap_any_ceiling_is_kept(slices):
    verdict = judge(METRICS | slices, replace(GATE, max_slice_gap=0.0))
    assert verdict.passed
    assert verdict.reasons[-1] == "No slice lies surely below all Pins; the ceiling is 0%."


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_floor_never_lets_more_through(low, high):
    low, high = sorted((low, high))
    assert (
        judge(METRICS, GateConfig(min_fresh_related=low)).passed
        or not judge(METRICS, GateConfig(min_fresh_related=high)).passed
    )
