"""The configuration: values by their types, a clear sentence for each wrong one, and JSON that comes back."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import PROFILES, Config, clip_baseline, load
from model.config.overrides import override
from model.errors import ConfigError


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("train.epochs=2", 2),
        (" train.epochs = 2 ", 2),
        ("train.learning_rate=3e-4", 3e-4),
        ("train.precision=bf16", "bf16"),
        ("quantization.bits=4", 4),
        ("vision.depths=1,2,3", (1, 2, 3)),
        ("vision.depths=(1, 2)", (1, 2)),
        ("vision.depths=[4]", (4,)),
        ("objective.image_texts=long,query", ("long", "query")),
        ("fusion.token_level=false", False),
        ("fusion.token_level=YES", True),
        ("seed=7", 7),
    ],
)
def test_a_value_is_read_by_its_type(item, value):
    node = load("demo", [item])
    for part in item.split("=")[0].strip().split("."):
        node = getattr(node, part)
    assert (node, type(node)) == (value, type(value))


def test_later_overrides_win_and_others_stay():
    config = load("demo", ["train.epochs=2", "train.epochs=3", "graph.top=5"])
    assert (config.train.epochs, config.graph.top) == (3, 5)
    untouched = override(load("demo"), {"train": {"epochs": 3}, "graph": {"top": 5}})
    assert config == untouched


def test_values_that_only_fit_together_may_come_in_any_order():
    items = ["fusion.dim=48", "fusion.prefixes=16,48"]
    assert load("demo", items) == load("demo", items[::-1])


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ("train.epoch=2", r"There is no setting 'train\.epoch'; did you mean train\.epochs\?"),
        ("trian.epochs=2", r"There is no setting 'trian'; did you mean train\?"),
        ("qqq=1", r"There is no setting 'qqq'; known keys there: profile, seed, prepare"),
        ("train=2", r"'train' is a section, not a value; set one of its keys"),
        ("train.epochs", r"--set 'train\.epochs' has no '='; write it as section\.key=value"),
        ("train.epochs=two", r"train\.epochs is 'two'; choose a valid integer"),
        ("train.epochs=2.5", r"train\.epochs is '2\.5'; choose a valid integer"),
        ("train.learning_rate=nan", r"train\.learning_rate is 'nan'; choose a finite number"),
        ("train.learning_rate=inf", r"train\.learning_rate is 'inf'; choose a finite number"),
        ("train.precision=fp16", r"train\.precision is 'fp16'; choose 'auto', 'bf16' or 'fp32'"),
        ("quantization.bits=2", r"quantization\.bits is '2'; choose 8 or 4"),
        ("fusion.token_level=maybe", r"fusion\.token_level is 'maybe'; choose a valid boolean"),
        ("vision.depths=1,x", r"vision\.depths is 'x'; choose a valid integer"),
        ("train.epochs.more=1", r"train\.epochs is .*; choose a valid integer"),
        ("train.epochs=0", r"train\.epochs is 0; choose at least 1"),
        ("train.batch_size=1", r"train\.batch_size is 1; choose at least 2"),
        ("train.workers=0", r"train\.workers is 0; choose at least 1"),
        ("split.fresh_share=1", r"split\.fresh_share is 1; choose less than 0\.9"),
        ("split.heldout_edges=-0.1", r"split\.heldout_edges is -0\.1; choose at least 0"),
        ("graph.restart=1", r"graph\.restart is 1; choose less than 1"),
        ("graph.walks=0", r"graph\.walks is 0; choose at least 1"),
        ("prepare.min_board_pins=-3", r"prepare\.min_board_pins is -3; choose at least 1"),
        ("evaluation.max_queries=-1", r"evaluation\.max_queries is -1; choose at least 1"),
        ("train.weight_decay=-5", r"train\.weight_decay is -5; choose at least 0"),
        ("vision.image_size=60", r"vision\.image_size 60 does not divide by 16 .* choose a multiple of 16"),
        ("vision.patch=7", r"vision\.(patch is 7; choose 4, 8, 16 or 32|image_size)"),
        ("vision.width=35", r"vision\.width 35 does not divide by"),
        ("text.width=35", r"text\.width 35 does not divide by"),
        ("fusion.prefixes=64,32", r"fusion\.prefixes \[64, 32\] must rise and end at fusion\.dim"),
        ("train.compatible_with=best", r"train\.compatible_with is 'best'; write champion, or the number of a version"),
        ("train.compatible_with=0", r"train\.compatible_with is '0'; write champion"),
        ("fusion.dim=100", r"must rise and end at fusion\.dim 100"),
    ],
)
def test_a_wrong_value_is_one_sentence(item, sentence):
    with pytest.raises(ConfigError, match=sentence) as raised:
        load("demo", [item])
    assert "\n" not in str(raised.value)


def test_both_levels_of_fusion_cannot_be_off():
    with pytest.raises(ConfigError, match="fusion needs token_level or global_level; both are off"):
        load("demo", ["fusion.token_level=no", "fusion.global_level=no"])


def test_an_unknown_profile():
    with pytest.raises(ConfigError, match="There is no profile 'huge'; choose one of smoke, demo, pilot, full"):
        load("huge")


@pytest.mark.parametrize("profile", PROFILES)
def test_json_comes_back(profile):
    config = load(profile)
    assert config.profile == profile
    assert Config.from_json(config.to_json()) == config
    assert json.loads(config.to_json()) == json.loads(json.dumps(dataclasses.asdict(config)))


@given(st.integers(1, 99), st.floats(0, 1, exclude_min=True), st.booleans(), st.lists(st.integers(1, 9), min_size=1))
def test_changed_json_comes_back(epochs, rate, masked, depths):
    changes = {"train": {"epochs": epochs, "learning_rate": rate}, "objective": {"mask_neighbours": masked}}
    stages = {"depths": depths[:3], "image_size": 64}
    config = override(Config(), {**changes, "vision": stages})
    assert Config.from_json(config.to_json()) == config


def test_a_key_that_json_has_too_many_is_named():
    with pytest.raises(ConfigError, match=r"There is no setting 'train\.epoch'; did you mean train\.epochs"):
        Config.from_json('{"train": {"epoch": 2}}')


def test_the_baseline_differs_in_the_objective_alone():
    config = load("demo", ["train.epochs=3"])
    baseline = clip_baseline(config)
    assert (baseline.objective.neighbour, baseline.objective.text_fused) == (0, 0)
    assert dataclasses.replace(baseline, objective=config.objective) == config
    assert clip_baseline(baseline) == baseline
    assert clip_baseline(load("demo", ["train.epochs=3", "train.compatible_with=8"])) == baseline


def test_a_checkpoint_in_a_folder_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "towers/siglip").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    config = load("demo", ["vision.pretrained=towers/siglip", "text.pretrained=google/siglip2-base-patch16-224"])
    assert config.vision.pretrained == str(tmp_path / "towers/siglip")
    assert config.text.pretrained == "google/siglip2-base-patch16-224"


def test_nothing_can_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load("demo").train.epochs = 3


@pytest.mark.parametrize(
    "setting",
    [
        *("vision.heads=0", "vision.image_size=0", "vision.depths=", "text.vocabulary=100", "text.context=0"),
        *("fusion.prefixes=", "fusion.heads=5", "objective.image_texts=title", "objective.neighbour=-1"),
        *(
            "train.learning_rate=0",
            "train.micro_batch=-1",
            "train.checkpoint_steps=0",
            "train.warmup=3",
            "train.cpus_per_worker=0",
        ),
        *("vision.trainable=half", "text.trainable_layers=0", "text.layer_decay=0", "vision.layer_decay=1.1"),
        *("graph.damping=inf", "seed=-1", "quantization.calibration_pins=0"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_a_sentence(setting):
    with pytest.raises(ConfigError, match=setting.partition("=")[0].rpartition(".")[2].split("_")[0]) as refusal:
        load("demo", [setting])
    assert "\n" not in str(refusal.value)
