"""Three lines on figures written by hand."""

from components.decision import decision
from components.gate import Verdict


def found(difference, low, high, groups=60, **other):
    return {"groups": groups, "ours": 0.3, "difference": difference, "low": low, "high": high, **other}


ALONE = {"champion": None, "tasks": {}, "compatible": None}
SLICE = {"scope": "fresh", "task": "search", "column": "region", "slice": "north", "recall@10": 0.1, "all": 0.4}
OVER_CLIP = {
    "related_pins": found(0.1, 0.05, 0.15, clip=0.2),
    "search": found(-0.1, -0.15, -0.05, clip=0.4),
    "text_to_image": found(-0.01, -0.02, 0.01, clip=0.31),
    "image_to_text": found(0.3, 0.2, 0.4, groups=3, clip=0.0),
}


def test_without_a_champion_it_is_the_clip_objective():
    lines = decision({"over_clip": OVER_CLIP, "slices": {"largest": SLICE}}, ALONE, Verdict(False, ("A reason.",)))
    assert lines == (
        "Against the CLIP objective, recall@10 on fresh Pins: better on Related pins; worse on Search; "
        "no sure difference on Text to image, Image to text.",
        "Weakest task: Search, 0.300 against 0.400 (-0.100, -0.150 to -0.050). "
        "Weakest slice: region=north, Search on fresh Pins, 0.100 against 0.400 of all of them.",
        "Gate not passed: this version stays as it is. A reason.",
    )


def test_the_champion_comes_first():
    champion = ALONE | {"champion": {"version": 3}, "tasks": {"search": found(0.1, 0.05, 0.15, champion=0.2)}}
    lines = decision({"over_clip": OVER_CLIP}, champion, Verdict(True, (), 1))
    assert lines[0] == "Against the champion, version 3, recall@10 on fresh Pins: better on Search."
    assert lines[1] == "Weakest task: Search, 0.300 against 0.200 (+0.100, +0.050 to +0.150)."
    assert lines[2].startswith("Gate passed, 1 figure not measured: this version becomes the challenger")


def test_where_nothing_was_measured_that_is_said():
    lines = decision({}, ALONE, Verdict(True, (), 3))
    assert lines[0] == "Nothing was compared: no task could be measured."
    assert lines[1] == "No weakest task: nothing was measured."
