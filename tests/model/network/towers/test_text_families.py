"""Every family of text towers gives each text of a packed row the tokens that transformers gives it alone."""

import pytest
import torch
import torch.nn.functional as F
from tiny_towers import TEXTS
from transformers import AutoModel, AutoTokenizer

from model.config import TextConfig
from model.network.layers import Packing
from model.network.text import encode_texts, pack_texts
from model.network.towers.fingerprint import fingerprint
from model.network.towers.opening import open_tower, outline, save_tower
from model.network.towers.words import load_tokenizer

FAMILIES = ("siglip", "siglip2", "clip", *TEXTS)
SENTENCES = [
    "a red chair",
    "two cats",
    "",
    "tea",
    "tea and a cup on a sofa in a room and two cats and a chair",
    "a cup",
]


@pytest.fixture(params=FAMILIES)
def folder(request, text_towers):
    return text_towers[request.param]


def settings(folder, **more) -> TextConfig:
    return TextConfig(pretrained=str(folder), **{"context": 20} | more)


def opened(folder, saved=None, **more):
    return open_tower("text", settings(folder, **more), saved)


def tokens_of(tower, ids) -> list[torch.Tensor]:
    """The tokens of each text, packed together."""
    texts = pack_texts(ids, [0] * len(ids))
    packing = Packing.of(texts.lengths_N)
    ids_RL, place_RL = (F.pad(values, (0, 1))[packing.grid_RL] for values in (texts.ids_T, packing.place_T))
    assert len(ids_RL) < len(ids)  # some stand beside another
    packed = packing.pack(tower(ids_RL, place_RL, packing.attention_mask_RLL))
    return list(torch.split(packed, texts.lengths_N.tolist()))


@pytest.mark.parametrize("family", TEXTS)
@torch.no_grad()
def test_packed_tokens_are_those_of_each_text_alone(text_towers, family):
    folder = text_towers[family]
    whole, own = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    ids = encode_texts(load_tokenizer(settings(folder)), SENTENCES, 20)
    assert max(map(len, ids)) > 10  # beyond the local attention of ModernBERT
    for sentence, mine, tokens in zip(SENTENCES, ids, tokens_of(opened(folder), ids), strict=True):
        theirs = own(sentence, truncation=True, max_length=20, return_tensors="pt")["input_ids"]
        assert mine.tolist() == theirs[0].tolist()
        expected = whole(theirs).last_hidden_state[0]
        assert torch.allclose(tokens, expected, atol=1e-5)
        assert expected.std() > 0.1


@torch.no_grad()
def test_a_text_does_not_depend_on_its_row(folder):
    ids = encode_texts(load_tokenizer(settings(folder)), SENTENCES, 20)
    tower = opened(folder)
    alone = tower(*((torch.as_tensor(ids[1])[None].long(), torch.arange(len(ids[1]))[None])), square(len(ids[1])))[0]
    others = [ids[4], ids[3], ids[1], ids[0]]
    assert torch.allclose(tokens_of(tower, others)[2], alone, atol=1e-5)


def square(length: int) -> torch.Tensor:
    return torch.ones(1, length, length, dtype=torch.bool)


def test_what_a_tower_says_of_itself(folder):
    tower = opened(folder)
    assert (tower.width, tower.context) == (24, 20 if folder.name in ("siglip", "siglip2", "clip") else 24)
    assert tower.pooling == ("lasttoken" if folder.name in ("siglip", "siglip2", "clip") else "mean")
    described = outline("text", str(folder))
    assert (described.width, described.context, described.pooling) == (tower.width, tower.context, tower.pooling)


@torch.no_grad()
def test_the_longest_text_has_positions(folder):
    tower = opened(folder)
    length = tower.context
    ids = torch.full((1, length), 5)
    assert tower(ids, torch.arange(length)[None], square(length)).shape == (1, length, 24)


def test_every_parameter_gets_a_gradient(folder):
    tower = opened(folder)
    ids = encode_texts(load_tokenizer(settings(folder)), SENTENCES, 20)
    torch.cat(tokens_of(tower, ids)).square().sum().backward()
    assert [name for name, value in tower.named_parameters() if value.grad is None] == []


def test_the_same_twice_while_it_learns(folder):
    tower = opened(folder).train()
    ids = encode_texts(load_tokenizer(settings(folder)), SENTENCES, 20)
    assert torch.equal(tokens_of(tower, ids)[0], tokens_of(tower, ids)[0])


def test_only_the_last_layer_learns(folder):
    tower = opened(folder, trainable="last", trainable_layers=1)
    heights = tower.heights()
    assert sorted(set(heights.values())) == [0, 1, 2, 3]
    learning = {name for name, value in tower.named_parameters() if value.requires_grad}
    assert learning == {name for name, height in heights.items() if height == 3}
    assert not any("embed" in name or "relative" in name for name in learning)


@torch.no_grad()
def test_rebuilt_from_a_model_folder(folder, tmp_path):
    tower, tokenizer = opened(folder), load_tokenizer(settings(folder))
    save_tower(tmp_path / "model" / "text", tower)
    again = opened("nowhere", saved=tmp_path / "model")
    again.load_state_dict(tower.state_dict())
    ids = encode_texts(tokenizer, SENTENCES, 20)
    assert all(torch.equal(*both) for both in zip(tokens_of(again, ids), tokens_of(tower, ids), strict=True))
    assert again.pooling == tower.pooling
    assert fingerprint(again, tokenizer) == fingerprint(tower, tokenizer)
