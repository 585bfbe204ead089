"""Model folders from strangers: absurd sizes, deep JSON and numbers that are none are one sentence, and no memory is
taken for them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from torch import nn

from model.config import Config
from model.config.overrides import override
from model.errors import ModelError
from model.network.checkpoint import load_model, save_model
from model.network.encoder import PinEncoder
from model.network.limits import read_tokenizer, without_memory
from model.network.text import train_tokenizer
from model.network.towers.words import load_tokenizer

DEEP = '{"a":' * 50_000
NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.lists(st.integers(0, 10**12), max_size=4),
    st.sampled_from([None, True, "", "wide", {}, [[]]]),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, config, checkpoints) -> Path:
    """A model folder with towers of a checkpoint."""
    towers = {"pretrained": str(checkpoints["clip"])}
    config = override(config, {"vision": {**towers, "depths": "1"}, "text": towers})
    folder = tmp_path_factory.mktemp("towers") / "model"
    save_model(folder, PinEncoder(config), load_tokenizer(config.text))
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory, config) -> Path:
    """A model folder with towers of our own."""
    folder = tmp_path_factory.mktemp("own") / "model"
    save_model(folder, PinEncoder(config), train_tokenizer(["red bicycle"], config.text))
    return folder


@pytest.fixture
def folder(tmp_path, whole) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def sentence(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        load_model(folder)
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)
    return str(raised.value)


def change(file: Path, section: str, key: str, value: object) -> None:
    found = json.loads(file.read_text())
    (found[section] if section else found)[key] = value
    file.write_text(json.dumps(found))


def test_both_folders_load(whole, own):
    assert [isinstance(load_model(folder)[0], PinEncoder) for folder in (whole, own)] == [True, True]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"text": {"layers": 1000}, "fusion": {"layers": 1000}}, "asks for more parameters than model.safetensors has"),
        ({"vision": {"depths": "1000,1000"}}, "asks for more parameters"),
        ({"text": {"vocabulary": 10_000_000, "width": 65_536}}, "holds another architecture"),
        ({"vision": {"image_size": 4_096, "width": 65_536}}, "holds another architecture"),
    ],
)
def test_a_network_that_its_weights_do_not_fill(tmp_path, own, changes, says):
    """Each of these would take more memory than this machine has."""
    folder = Path(shutil.copytree(own, tmp_path / "model"))
    config = override(Config(**vars(load_model(own)[0].config)), changes)
    found = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(found | {name: config.to_dict()[name] for name in changes}))
    assert says in sentence(folder)


@pytest.mark.parametrize(
    ("tower", "key", "value", "says"),
    [
        ("text", "num_hidden_layers", 9_999_999, "asks for more parameters"),
        ("text", "num_hidden_layers", 10**9, "num_hidden_layers is beyond 10,000,000"),
        ("text", "vocab_size", 9_999_999, "holds another architecture"),
        ("text", "hidden_size", 0, "is no configuration of a tower"),
        ("text", "num_attention_heads", 0, "is no configuration of a tower"),
        ("vision", "hidden_size", -8, "is no configuration of a tower"),
        ("vision", "patch_size", 0, "is no configuration of a tower"),
        ("vision", "image_size", [32, 32], "is no configuration of a tower"),
        ("vision", "depths", [10**6, 1], "depths adds up to more than 1,000,000"),
        ("vision", "layer_norm_eps", float("nan"), "NaN is no number"),
        ("vision", "attention_dropout", 1e300, "attention_dropout is beyond"),
    ],
)
def test_absurd_numbers_of_a_tower(folder, tower, key, value, says):
    change(folder / tower / "config.json", "", key, value)
    assert says in sentence(folder)


def test_sizes_that_no_tensor_has(tmp_path):
    says = r"describes no network that can be built \("
    with pytest.raises(ModelError, match=says), without_memory(tmp_path / "model.safetensors", tensors=2):
        nn.Linear(-1, 2)


@pytest.mark.parametrize("name", ["config.json", "text/config.json", "vision/config.json"])
def test_json_that_is_nested_too_deeply(folder, name):
    (folder / name).write_text(DEEP)
    assert "nested too deeply" in sentence(folder)


@pytest.mark.parametrize("name", ["vision/preprocessor_config.json", "text/1_Pooling/config.json"])
@pytest.mark.parametrize("text", [DEEP, '{"image_mean": [0, 0, NaN], "pooling_mode": NaN}', "[]", "3"])
def test_small_files_that_are_nonsense(folder, name, text):
    (folder / name).write_text(text)
    sentence(folder)


@pytest.mark.parametrize("name", ["config.json", "vision/preprocessor_config.json", "text/1_Pooling/config.json"])
def test_a_json_file_that_is_too_large(folder, name):
    with (folder / name).open("ab") as file:
        file.truncate(1_000_001)
    assert f"{name} has 1,000,001 bytes, more than the 1,000,000 of any model" in sentence(folder)


def test_a_tokenizer_that_is_too_large_is_not_read(folder):
    with (folder / "tokenizer.json").open("ab") as file:
        file.truncate(10**12)  # without a byte on the disk
    assert "more than the 200,000,000 of any model" in sentence(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["fusion.pin_D", "text.tower.model.embeddings.token_embedding.weight"])
def test_weights_that_are_no_numbers(folder, name, number):
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    tensors[name].view(-1)[-1] = number
    rewrite(weights, tensors)
    assert f"has NaN or infinite numbers in {name}; train again" in sentence(folder)


def test_weights_beyond_the_networks_own_numbers(folder):
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    rewrite(weights, tensors | {"fusion.pin_D": torch.full(tensors["fusion.pin_D"].shape, 1e300, dtype=torch.float64)})
    assert "NaN or infinite numbers in fusion.pin_D" in sentence(folder)


def rewrite(weights: Path, tensors: dict[str, torch.Tensor]) -> None:
    with safe_open(weights, "pt") as file:
        told = file.metadata()
    save_file(tensors, weights, told)


@pytest.mark.parametrize("text", [DEEP, "{}", "no json", json.dumps({"version": "1.0", "model": DEEP})])
def test_a_tokenizer_that_is_none(tmp_path, text):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match=r"tokenizer.json is no tokenizer \("):
        read_tokenizer(tmp_path / "tokenizer.json", 10)


def test_a_tokenizer_that_knows_more_than_the_weights(tmp_path):
    Tokenizer(models.BPE({"a": 0, "b": 10}, [])).save(str(tmp_path / "tokenizer.json"))
    assert read_tokenizer(tmp_path / "tokenizer.json", 11).get_vocab() == {"a": 0, "b": 10}
    with pytest.raises(ModelError, match="knows more tokens than the 10 of the weights"):
        read_tokenizer(tmp_path / "tokenizer.json", 10)


@settings(max_examples=40)
@given(data=st.data())
def test_whatever_stands_in_a_configuration_is_loaded_or_one_sentence(data, tmp_path_factory, whole):
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("drawn") / "model"))
    name = data.draw(st.sampled_from(["config.json", "text/config.json", "vision/config.json"]))
    found = json.loads((folder / name).read_text())
    section = data.draw(st.sampled_from(["vision", "text", "fusion", "network"])) if name == "config.json" else ""
    change(
        folder / name,
        section,
        data.draw(st.sampled_from(sorted(found[section] if section else found))),
        data.draw(NUMBERS),
    )
    try:
        load_model(folder)
    except ModelError as error:
        assert "\n" not in str(error)
    shutil.rmtree(folder)
