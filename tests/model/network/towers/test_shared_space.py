"""The vectors of image–text models are those of transformers, with the heads that their towers share a space by."""

import pytest
import torch
from tiny_checkpoints import TEXT
from transformers import AutoModel, AutoTokenizer

from model.config import TextConfig, VisionConfig
from model.errors import ModelError
from model.network.joined import pooled_map, sentence_vectors
from model.network.text import encode_texts, pack_texts
from model.network.towers.fingerprint import fingerprint
from model.network.towers.opening import open_tower, outline, save_tower
from model.network.towers.words import load_tokenizer

SENTENCES = ["a red chair", "Two CATS on a sofa", "", "tea and tea again and again and again and again and again"]


@pytest.fixture(params=["siglip", "siglip2", "clip"])
def folder(request, checkpoints):
    return checkpoints[request.param]


def image_settings(folder) -> VisionConfig:
    return VisionConfig(pretrained=str(folder), trainable="frozen", join="vector", image_size=32, grid=1, depths=())


def text_settings(folder, **more) -> TextConfig:
    return TextConfig(pretrained=str(folder), **{"trainable": "frozen", "join": "vector", "context": 20} | more)


def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (3, 32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def vectors_of(tower, tokenizer) -> torch.Tensor:
    ids = encode_texts(tokenizer, SENTENCES, 20)
    return sentence_vectors(tower, pack_texts(ids, [0] * len(ids)))


@torch.no_grad()
def test_image_vectors_are_those_of_transformers(folder):
    tower = open_tower("vision", image_settings(folder), None)
    x_B3SS = (
        (pixels() / 255 - torch.tensor(tower.statistics["image_mean"])) / torch.tensor(tower.statistics["image_std"])
    ).permute(0, 3, 1, 2)
    inputs = {"pixel_values": x_B3SS}
    if folder.name == "siglip2":
        from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

        processor = Siglip2ImageProcessorPil.from_pretrained(folder, patch_size=8, max_num_patches=16)
        inputs = processor(list(pixels().numpy()), return_tensors="pt")
    expected = AutoModel.from_pretrained(folder).eval().get_image_features(**inputs).pooler_output
    found = pooled_map(tower, pixels(), 1)
    assert found.shape == (3, 1, tower.width)
    assert torch.allclose(found[:, 0], expected, atol=1e-5)
    assert expected.std() > 0.1


@torch.no_grad()
def test_text_vectors_are_those_of_transformers(folder):
    """SigLIP's of texts that are padded to its context, as it learned them; CLIP's whatever the padding."""
    tower, tokenizer = open_tower("text", text_settings(folder), None), load_tokenizer(text_settings(folder))
    own = AutoTokenizer.from_pretrained(folder)
    lower = [sentence.lower() for sentence in SENTENCES]
    inputs = own(lower, padding="max_length", truncation=True, max_length=20, return_tensors="pt")
    mask = {"attention_mask": inputs["attention_mask"]} if folder.name == "clip" else {}
    whole = AutoModel.from_pretrained(folder).eval()
    expected = whole.get_text_features(input_ids=inputs["input_ids"], **mask).pooler_output
    found = vectors_of(tower, tokenizer)
    assert found.shape == (4, tower.width)
    assert torch.allclose(found, expected, atol=1e-5)
    assert expected.std() > 0.1


def test_both_towers_say_the_same_of_their_space(folder):
    image, text = outline("vision", str(folder), shared=True), outline("text", str(folder), shared=True)
    assert image.width == text.width
    assert image.width != TEXT["hidden_size"]
    assert (image.side(32), image.usual_size, text.context) == (1, 32, 20)
    assert image.layers == text.layers == 3


@torch.no_grad()
def test_rebuilt_from_a_model_folder(folder, tmp_path):
    image, text = open_tower("vision", image_settings(folder), None), open_tower("text", text_settings(folder), None)
    tokenizer = load_tokenizer(text_settings(folder))
    save_tower(tmp_path / "vision", image)
    save_tower(tmp_path / "text", text)
    tokenizer.save(str(tmp_path / "text" / "tokenizer.json"))
    again = open_tower("vision", image_settings("nowhere"), tmp_path)
    again.load_state_dict(image.state_dict())
    assert torch.equal(pooled_map(again, pixels(), 1), pooled_map(image, pixels(), 1))
    again = open_tower("text", text_settings("nowhere"), tmp_path)
    again.load_state_dict(text.state_dict())
    assert torch.equal(vectors_of(again, tokenizer), vectors_of(text, tokenizer))


def test_what_is_kept_of_the_vectors_is_not_that_of_the_tokens(folder):
    """Another key, so that neither is read for the other."""
    for kind, settings in (("vision", image_settings(folder)), ("text", text_settings(folder))):
        tokens = settings.__class__(pretrained=str(folder), trainable="frozen")
        assert fingerprint(open_tower(kind, settings, None)) != fingerprint(open_tower(kind, tokens, None))


def test_a_tower_that_shares_no_space(vision_towers, text_towers):
    with pytest.raises(ModelError, match=r"is a 'vit'; choose a checkpoint of clip, siglip, siglip2\.$"):
        outline("vision", str(vision_towers["vit"]), shared=True)
    with pytest.raises(ModelError, match=r"is a 'bert'; choose a checkpoint of clip, siglip, siglip2\.$"):
        outline("text", str(text_towers["bert"]), shared=True)
    with pytest.raises(ModelError, match=r"is a 'efficientnet_lite'; choose a checkpoint of clip"):
        outline("vision", "efficientnet-lite0", shared=True)
