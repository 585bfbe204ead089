"""Pretrained towers: they compute what transformers computes, learn where told, and leave a folder that is whole."""

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import AutoModel, AutoTokenizer, GPT2Config, GPT2Model
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from model.config import TextConfig, VisionConfig
from model.config.overrides import override
from model.embedding.embedder import Embedder
from model.errors import ModelError
from model.network.checkpoint import load_model, save_model
from model.network.encoder import PinEncoder
from model.network.layers import Packing
from model.network.text import PretrainedTextTower, encode_texts, pack_texts
from model.network.towers.words import load_tokenizer
from model.network.vision import PretrainedVisionTower
from model.training.dataset import load_training_set
from model.training.loop import fit
from model.training.objective import PinClip
from model.training.optimizer import optimizer_for
from model.training.sampling import training_batches

FAMILIES = ("siglip", "siglip2", "clip")
SENTENCES = ["a red chair", "Two CATS on a sofa", "", "tea, tea and tea again and again and again and again and again"]


@pytest.fixture(params=FAMILIES)
def checkpoint(request, checkpoints) -> Path:
    return checkpoints[request.param]


def vision_of(checkpoint: Path, **settings) -> PretrainedVisionTower:
    defaults = {"depths": (), "width": 40, "heads": 2, "image_size": 32}
    return PretrainedVisionTower(VisionConfig(pretrained=str(checkpoint), **defaults | settings))


def text_of(checkpoint: Path, **settings) -> PretrainedTextTower:
    return PretrainedTextTower(TextConfig(pretrained=str(checkpoint), **{"context": 16, "width": 24} | settings))


def on_top_of(config, checkpoint: Path, **trainable):
    """The tests' configuration with both towers of the checkpoint, a funnel stage on the vision tower."""
    tower = {"pretrained": str(checkpoint), **trainable}
    text = tower | {"context": 16, "width": 24}
    return override(config, {"vision": tower | {"depths": [1], "width": 32}, "text": text})


def pictures(count: int, side: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (count, side, side, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@torch.no_grad()
def test_patch_tokens_are_those_of_transformers(checkpoint):
    """From the same picture through the checkpoint's own image processor."""
    whole, pixels = AutoModel.from_pretrained(checkpoint).eval(), pictures(2)
    if checkpoint.name == "siglip2":
        processor = Siglip2ImageProcessorPil.from_pretrained(checkpoint, patch_size=8, max_num_patches=16)
        inputs = processor(list(pixels.numpy()), return_tensors="pt")
        expected = whole.vision_model(
            inputs["pixel_values"], inputs["pixel_attention_mask"], inputs["spatial_shapes"]
        ).last_hidden_state
    else:
        processor = CLIPImageProcessorPil.from_pretrained(
            checkpoint, size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        )
        inputs = processor(list(pixels.numpy()), return_tensors="pt")
        expected = whole.vision_model(inputs["pixel_values"]).last_hidden_state[:, -16:]
    tower = vision_of(checkpoint)
    tower.norm = torch.nn.Identity()
    assert tower(pixels).shape == (2, 16, 40)
    assert torch.allclose(tower(pixels), expected, atol=1e-5)


@torch.no_grad()
def test_packed_text_tokens_are_those_of_each_text_alone(checkpoint):
    """What transformers says of each text by itself, without a pad in sight."""
    whole, own = AutoModel.from_pretrained(checkpoint).eval(), AutoTokenizer.from_pretrained(checkpoint)
    tower, tokenizer = text_of(checkpoint), load_tokenizer(TextConfig(pretrained=str(checkpoint)))
    ids = encode_texts(tokenizer, SENTENCES, 16)
    texts = pack_texts(ids, [0, 1, 2, 4])
    found = torch.split(tower(texts, Packing.of(texts.lengths_N)), texts.lengths_N.tolist())
    for sentence, mine, tokens in zip(SENTENCES, ids, found, strict=True):
        theirs = own(sentence.lower(), truncation=True, max_length=16, return_tensors="pt")["input_ids"]
        assert mine.tolist() == theirs[0].tolist()
        assert torch.allclose(tokens, whole.text_model(theirs).last_hidden_state[0], atol=1e-5)


def test_the_type_of_the_signal_is_told_once_it_is_learned(checkpoint):
    tower, texts = text_of(checkpoint), pack_texts([np.array([5, 1], dtype=np.int32)] * 2, [0, 4])
    title, query = tower(texts, Packing.of(texts.lengths_N)).chunk(2)
    assert torch.allclose(title, query)
    torch.nn.init.normal_(tower.signal.weight)
    title, query = tower(texts, Packing.of(texts.lengths_N)).chunk(2)
    assert not torch.allclose(title, query, atol=0.1)


def test_funnel_stages_on_top(checkpoint):
    for depths, tokens in (((), 16), ((1,), 4), ((2, 1), 1)):
        tower = vision_of(checkpoint, depths=depths, width=32)
        assert tower(pictures(3)).shape == (3, tokens, 32)
        assert tower.tokens == tokens
        assert len(tower.blocks) == sum(depths)


def test_siglip2_reads_any_multiple_of_its_patch(checkpoints):
    assert vision_of(checkpoints["siglip2"], image_size=48)(pictures(2, 48)).shape == (2, 36, 40)


def learning(task: PinClip, part: str) -> set[str]:
    """Names of the tower's parameters that have a gradient, up to the layer."""
    named = getattr(task.encoder, part).tower.named_parameters()
    return {".".join(name.split(".")[1:4]) for name, p in named if p.grad is not None}


@pytest.mark.parametrize(
    ("trainable", "layers"),
    [({"trainable": "frozen"}, ()), ({"trainable": "last", "trainable_layers": 2}, (1, 2)), ({}, (0, 1, 2))],
)
def test_what_is_frozen_gets_no_gradient_and_all_else_does(walked, checkpoint, config, trainable, layers):
    """Workers that share gradients wait for ever for one that never comes."""
    config = on_top_of(config, checkpoint, **trainable)
    task, (training_set, _) = PinClip(config), load_training_set(*walked, config)
    task(next(training_batches(training_set, config, 0, 1, 0, 1)))["loss"].backward()
    assert not [name for name, p in task.named_parameters() if p.requires_grad != (p.grad is not None)]
    for part in ("vision", "text"):
        found = learning(task, part)
        assert {name for name in found if "layers" in name} == {f"encoder.layers.{layer}" for layer in layers}
        assert any("embedding" in name for name in found) == (len(layers) == 3)


def test_a_frozen_tower_keeps_no_graph(checkpoint):
    tower = vision_of(checkpoint, trainable="frozen")
    seen = []
    tower.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].requires_grad))
    tower(pictures(1))
    text = text_of(checkpoint, trainable="frozen")
    text.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].requires_grad))
    packed = pack_texts([np.array([5, 1], dtype=np.int32)], [0])
    assert text(packed, Packing.of(packed.lengths_N)).requires_grad  # the signal's type is still learned
    assert seen == [False, False]


def test_layer_wise_learning_rates_by_hand(checkpoint, config):
    """Three layers, decay 0.5: the last learns at a half, the first at an eighth, the embeddings at a sixteenth."""
    task = PinClip(on_top_of(config, checkpoint, layer_decay=0.5))
    optimizer = optimizer_for(task, config.train)
    share = {id(p): group["share"] for group in optimizer.groups for p in group["params"]}
    named = {name: share[id(p)] for name, p in task.encoder.named_parameters()}
    for part in ("vision", "text"):
        for layer, expected in enumerate((0.125, 0.25, 0.5)):
            found = {s for n, s in named.items() if n.startswith(f"{part}.tower.model.encoder.layers.{layer}.")}
            assert found == {expected}
        assert {s for n, s in named.items() if n.startswith(f"{part}.tower.model.embeddings")} == {0.0625}
    assert named["text.tower.model.final_layer_norm.weight"] == 0.5
    assert named["vision.blocks.0.mlp.0.weight"] == named["image_head.weight"] == 1.0


def test_trained_saved_and_loaded_without_the_checkpoint(tmp_path, walked, config, checkpoint, picture):
    """The checkpoint is gone and the hub out of reach: the model folder is all there is."""
    source = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    config = on_top_of(override(config, {"train": {"epochs": 1}}), source, trainable="last", trainable_layers=1)
    fit(*walked, tmp_path / "model", config, lambda point: None)
    before = load_file(source / "model.safetensors")
    images, texts = [picture(0, 32), None], [{"title": "tea"}, {"caption": "A Cup of tea"}]
    expected = Embedder(tmp_path / "model").pins(images, texts)
    shutil.rmtree(source)
    saved = load_file(tmp_path / "model" / "model.safetensors")
    name = "encoder.layers.0.mlp.fc1.weight"
    assert torch.equal(saved[f"vision.tower.model.{name}"], before[f"vision_model.{name}"])
    name = name.replace("0", "2", 1)
    assert not torch.equal(saved[f"vision.tower.model.{name}"], before[f"vision_model.{name}"])
    assert np.array_equal(Embedder(tmp_path / "model").pins(images, texts), expected)
    encoder, tokenizer = load_model(tmp_path / "model")
    save_model(tmp_path / "copy", encoder, tokenizer)
    files = [path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy").rglob("*.json")]
    assert {"vision/config.json", "vision/preprocessor_config.json", "text/config.json"} <= set(map(str, files))
    for file in files:
        assert (tmp_path / "copy" / file).read_bytes() == (tmp_path / "model" / file).read_bytes()


def test_loading_a_folder_asks_no_network(tmp_path, monkeypatch, checkpoints, config):
    """The name that it was trained from is one on the hub."""
    encoder = PinEncoder(on_top_of(config, checkpoints["clip"]))
    tokenizer = load_tokenizer(encoder.config.text)
    encoder.config = on_top_of(config, "somebody/on-the-hub")
    save_model(tmp_path / "model", encoder, tokenizer)

    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load_model(tmp_path / "model")[0].config.text.pretrained == "somebody/on-the-hub"


def refusal(make) -> str:
    with pytest.raises(ModelError) as raised:
        make()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_size": 48}, "vision.image_size is 48, but the tower {} reads 32 pixels; set vision.image_size=32."),
        ({"depths": (1, 1, 1)}, "the tower's 4 x 4 patches cannot be halved so often; shorten vision.depths"),
    ],
)
def test_an_image_that_the_tower_cannot_take(checkpoints, settings, sentence):
    folder = checkpoints["clip"]
    assert sentence.format(folder) in refusal(lambda: vision_of(folder, **settings))


def test_an_image_that_patches_do_not_fill(checkpoints):
    said = refusal(lambda: vision_of(checkpoints["siglip2"], image_size=33))
    assert "vision.image_size 33 does not divide by the tower's patch of 8; choose a multiple" in said


def test_a_context_beyond_the_towers_positions(checkpoint):
    said = refusal(lambda: text_of(checkpoint, context=21))
    assert f"text.context is 21, but the tower {checkpoint} reads 20 tokens; set text.context=20." in said


@pytest.fixture
def broken(tmp_path, checkpoints) -> Path:
    return Path(shutil.copytree(checkpoints["siglip"], tmp_path / "broken"))


def test_a_checkpoint_of_another_architecture(tmp_path):
    GPT2Model(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=20)).save_pretrained(tmp_path / "gpt2")
    said = refusal(lambda: text_of(tmp_path / "gpt2"))
    assert "is a 'gpt2'; choose a checkpoint of bert, clip, distilbert, modernbert, mpnet, roberta, siglip" in said


def test_a_vision_tower_alone_has_no_text(tmp_path, checkpoints):
    folder = tmp_path / "alone"
    AutoModel.from_pretrained(checkpoints["siglip"]).vision_model.save_pretrained(folder)
    shutil.copy(checkpoints["siglip"] / "preprocessor_config.json", folder)
    assert vision_of(folder)(pictures(1)).shape == (1, 16, 40)
    assert "is a 'siglip_vision_model'; choose" in refusal(lambda: text_of(folder))


def test_weights_that_do_not_fit_their_configuration(broken):
    path = broken / "config.json"
    settings = json.loads(path.read_text())
    settings["vision_config"]["num_hidden_layers"] = 4
    path.write_text(json.dumps(settings))
    assert "lacks 16 weights that its config.json speaks of, e.g. encoder.layers.3." in refusal(
        lambda: vision_of(broken)
    )
    settings["vision_config"] |= {"num_hidden_layers": 3, "intermediate_size": 56}
    path.write_text(json.dumps(settings))
    assert "cannot be loaded" in refusal(lambda: vision_of(broken))


def test_weights_cut_short_or_missing(broken):
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert "cannot be loaded" in refusal(lambda: vision_of(broken))
    path.unlink()
    assert "cannot be loaded" in refusal(lambda: vision_of(broken))


def test_pickled_weights_are_never_read(broken):
    torch.save(load_file(broken / "model.safetensors"), broken / "pytorch_model.bin")
    (broken / "model.safetensors").unlink()
    assert "cannot be loaded" in refusal(lambda: vision_of(broken))


def test_no_such_folder(tmp_path):
    assert "nowhere' is no folder; put config.json" in refusal(lambda: text_of(tmp_path / "nowhere"))


def test_no_word_about_the_pixels(broken):
    path = broken / "preprocessor_config.json"
    path.write_text("{}")
    assert "does not say image_mean and image_std" in refusal(lambda: vision_of(broken))
    path.unlink()
    assert "cannot be loaded" in refusal(lambda: vision_of(broken))


def test_a_tokenizer_that_knows_more_than_the_weights(broken):
    Tokenizer(models.BPE({"a": 0, "b": 900}, [])).save(str(broken / "tokenizer.json"))
    settings = TextConfig(pretrained=str(broken))
    assert "knows more tokens than its weights (" in refusal(lambda: load_tokenizer(settings))


def test_another_towers_configuration_in_a_model_folder(tmp_path, checkpoints, config):
    config = on_top_of(config, checkpoints["siglip"])
    save_model(tmp_path / "model", PinEncoder(config), load_tokenizer(config.text))
    (tmp_path / "model/text/config.json").write_bytes((checkpoints["clip"] / "config.json").read_bytes())
    assert "holds another architecture than the config" in refusal(lambda: load_model(tmp_path / "model"))
    (tmp_path / "model/text/config.json").write_text("{}")
    assert "text is no configuration of a tower (" in refusal(lambda: load_model(tmp_path / "model"))


def test_the_training_set_is_written_in_the_towers_tokens(walked, config, checkpoints):
    config = on_top_of(config, checkpoints["clip"])
    training_set, tokenizer = load_training_set(*walked, config)
    assert tokenizer.to_str() == load_tokenizer_at(config).to_str()
    texts = [signal.texts for signal in training_set.signals.values()]
    ids = [one.ids(number) for one in texts for number in range(len(one))]
    assert all((i[0], i[-1]) == (0, 1) and len(i) <= 16 for i in ids)


def load_tokenizer_at(config) -> Tokenizer:
    tokenizer = load_tokenizer(config.text)
    tokenizer.enable_truncation(config.text.context)
    return tokenizer
