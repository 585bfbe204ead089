"""All settings as one tree: every number has bounds, a profile is read by name, a pipeline gets its sections."""

import json
from collections.abc import Iterator

import pytest
from pydantic import TypeAdapter

from components.configuration import Configuration, given, load, pipeline_arguments
from model.config import Config
from model.errors import ConfigError

NUMBERS = ("integer", "number")


def numbers(schema: dict, where: str = "") -> Iterator[tuple[str, dict]]:
    """(dotted name, JSON schema) of every number of the tree."""
    for key, one in schema.get("properties", {}).items():
        if "$ref" in one:
            yield from numbers(SCHEMA["$defs"][one["$ref"].rpartition("/")[2]], f"{key}.")
        one = one.get("items", one)
        if one.get("type") in NUMBERS and "enum" not in one:
            yield f"{where}{key}", one


SCHEMA = TypeAdapter(Configuration).json_schema()
BOUNDED = dict(numbers(SCHEMA))


def test_a_step_gets_back_the_part_that_the_pipeline_gave_it():
    whole = load("smoke", ["train.epochs=3", "seed=7", "gate.min_retention=0.5"])
    inputs = pipeline_arguments(whole, ["profile", "seed", "train_config", "gate_config", "no_setting"])
    part = given(Configuration, inputs | {"baseline": True, "step": None})
    assert part.to_dict() == {
        name: value for name, value in whole.to_dict().items() if name in ("profile", "seed", "train", "gate")
    }
    with pytest.raises(AttributeError):
        _ = given(Config, inputs).gate


def test_every_number_has_a_least_and_a_greatest_value():
    assert len(BOUNDED) > 50
    for name, schema in BOUNDED.items():
        assert {"minimum", "exclusiveMinimum"} & set(schema), name
        assert {"maximum", "exclusiveMaximum"} & set(schema), name


@pytest.mark.parametrize("value", ["-1000000000000", "1000000000000", "nan", "inf", "many", ""])
def test_a_number_out_of_bounds_is_one_sentence_that_names_it(value):
    for name in BOUNDED:
        with pytest.raises(ConfigError) as refused:
            load("demo", [f"{name}={value}"])
        assert name in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [True, 1.5, None, "x", [1], {}])
def test_a_value_of_another_type_is_refused_in_json_too(value):
    with pytest.raises(ConfigError, match=r"train\.epochs is"):
        Configuration.from_json(json.dumps({"train": {"epochs": value}}))


@pytest.mark.parametrize(
    ("item", "nearest"),
    [
        ("gate.min_retetion=1", "gate.min_retention"),
        ("monitring.pins=1", "monitoring"),
        ("promotion.x=1", "known keys"),
    ],
)
def test_the_nearest_key_is_named(item, nearest):
    with pytest.raises(ConfigError, match=nearest):
        load("smoke", [item])


def test_the_smoke_profile_asks_little_of_the_gate():
    assert load("smoke").gate.min_gain_over_clip == -1
    assert load("demo").gate.min_gain_over_clip == 0


def test_a_pipeline_is_given_the_sections_that_it_has_parameters_for():
    config = load("smoke", ["seed=4"])
    found = pipeline_arguments(config, ["catalogue", "seed", "vision_config", "config"])
    assert set(found) == {"seed", "vision_config", "config"}
    assert (found["seed"], found["vision_config"]["depths"]) == (4, [1, 1])
    assert Configuration.from_json(found["config"]) == config
    assert "\n" not in found["config"]


def test_a_part_has_what_it_was_given_and_no_defaults():
    part = Configuration.of(seed=5, gate={"min_retention": 0.5})
    assert (part.seed, part.gate.min_retention, part.gate.max_slice_gap) == (5, 0.5, 0.9)
    assert part.to_dict().keys() == {"seed", "gate"}
    for absent in ("train", "profile"):
        with pytest.raises(AttributeError):
            getattr(part, absent)
    assert part == Configuration.of(seed=5, gate={"min_retention": 0.5}) != Configuration.of(seed=5)
    assert repr(part).startswith("Configuration(seed=5, gate=GateConfig(")
