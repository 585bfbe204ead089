"""An arm changes the fields it is named for, and nothing else."""

import dataclasses

import pytest

from model.config import load
from model.config.arms import ARMS, arms
from model.config.overrides import override
from model.errors import ConfigError

CHANGES = {
    "pinclip": set(),
    "no-neighbour": {"objective.neighbour"},
    "hybrid-fusion": set(),
    "global-fusion": {"fusion.token_level"},
    "token-fusion": {"fusion.global_level"},
    "no-skip": {"fusion.skip"},
    "one-text": {"objective.image_texts"},
    "no-funnel": {"vision.depths"},
    "no-stem": {"vision.join"},
    "no-words": set(),
    "words": {"text.join"},
    "no-image-tower": {"vision.pretrained", "vision.join", "vision.image_size"},
    "no-text-tower": {"text.pretrained", "text.join"},
    "no-prefixes": {"fusion.prefixes"},
    "no-masking": {"objective.mask_neighbours"},
    "hard-negatives": {"train.near_pairs"},
    "sigmoid": {"objective.image_text_loss"},
    "softmax": {"objective.fused_loss"},
    "adamw": {"train.optimizer"},
}


def flat(config) -> dict:
    tree = dataclasses.asdict(config)
    return {f"{s}.{k}": v for s, section in tree.items() if isinstance(section, dict) for k, v in section.items()} | {
        key: value for key, value in tree.items() if not isinstance(value, dict)
    }


OF_KEPT_TOWERS = ("no-stem", "words", "no-image-tower", "no-text-tower")


@pytest.fixture(params=["smoke", "demo", "pilot", "full"])
def config(request):
    """Every idea that an arm takes away is there, whatever the profile says."""
    objective = {"image_text_loss": "softmax", "fused_loss": "sigmoid", "image_texts": ("long", "short", "query")}
    others = {"train": {"optimizer": "muon"}, "fusion": {"token_level": True, "skip": True}}
    return override(load(request.param), {"objective": objective} | others)


@pytest.mark.parametrize("name", [name for name in ARMS if name != "clip"])
def test_an_arm_differs_in_exactly_the_named_fields(config, name):
    before, after = flat(config), flat(arms([name], config)[name])
    changes = set() if name in OF_KEPT_TOWERS and not config.vision.kept else CHANGES[name]
    assert {key for key in before if before[key] != after[key]} == changes


def test_the_clip_arm_differs_in_its_objective_alone(config):
    before, after = flat(config), flat(arms(["clip"], config)["clip"])
    changed = {key for key in before if before[key] != after[key]}
    assert {"objective.neighbour", "objective.text_fused"} <= changed
    assert all(key.startswith("objective.") for key in changed)


def test_without_the_funnel_as_many_layers_are_left():
    config = override(load("demo"), {"vision": {"depths": (1, 3)}})
    assert arms(["no-funnel"], config)["no-funnel"].vision.depths == (4,)


def test_without_the_funnel_a_pretrained_tower_stands_alone():
    config = override(load("demo"), {"vision": {"pretrained": "some/tower"}})
    assert arms(["no-funnel"], config)["no-funnel"].vision.depths == ()


def test_all_arms_that_change_something_where_none_is_named_else_those_in_order(config):
    unchanged = {"hybrid-fusion", "no-words", *(() if config.vision.kept else OF_KEPT_TOWERS)}
    assert list(arms([], config)) == [name for name in ARMS if name not in unchanged]
    assert {"hybrid-fusion", "no-skip"} & set(arms([], load("demo"))) == {"hybrid-fusion"}
    assert list(arms(["clip", "pinclip"], config)) == ["clip", "pinclip"]


def test_an_unknown_arm_is_refused_with_the_known_ones(config):
    with pytest.raises(ConfigError, match=r"no arm 'funnel'; choose from pinclip, clip, no-neighbour"):
        arms(["pinclip", "funnel"], config)
