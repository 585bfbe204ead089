"""Tokenizer and text tower: any text survives, long ones are cut with their end, and each text is read alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.config import TextConfig
from model.network.layers import Packing
from model.network.text import END, TextTower, encode_texts, mean_pool, pack_texts, train_tokenizer

CONFIG = TextConfig(vocabulary=300, context=12, width=16, layers=2, heads=2)
TOKENIZER = train_tokenizer(["a red chair", "Ein roter Stuhl", "a blue chair", "椅子"] * 3, CONFIG)


def ids(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False).ids


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_any_text_of_any_language_comes_back(text):
    """As the normalizer writes it (NFKC, small letters), behind the blank that begins a first word."""
    written = TOKENIZER.normalizer.normalize_str(text)
    assert TOKENIZER.decode(ids(text)).removeprefix(" ") == written.removeprefix(" ")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.integers(1, 20))
def test_texts_are_cut_to_the_context_and_end_with_end(text, context):
    (encoded,) = encode_texts(TOKENIZER, [text], context)
    end = TOKENIZER.token_to_id(END)
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [*ids(text)[: context - 1], end]
    assert 1 <= len(encoded) <= context


def test_an_empty_text_has_one_token():
    assert encode_texts(TOKENIZER, [""], 12)[0].tolist() == [TOKENIZER.token_to_id(END)]


def test_letters_of_any_size_and_width_are_the_same():
    assert ids("A Red CHAIR") == ids("a red chair")
    assert ids("ﬁne") == ids("fine")  # NFKC takes the ligature apart
    assert len(ids("chair")) == 1


@pytest.mark.parametrize("corpus", [[], ["", " "], ["a red chair"] * 9])
def test_a_vocabulary_never_exceeds_the_configuration(corpus):
    tokenizer = train_tokenizer(corpus, CONFIG)
    assert 257 <= tokenizer.get_vocab_size() <= CONFIG.vocabulary
    assert tokenizer.token_to_id(END) == 0


def test_the_same_texts_give_the_same_tokenizer():
    corpus = ["a red chair", "a blue chair", "Ein roter Stuhl"] * 3
    assert train_tokenizer(corpus, CONFIG).to_str() == train_tokenizer(corpus, CONFIG).to_str()


def test_packing_texts():
    texts = pack_texts(encode_texts(TOKENIZER, ["a red chair", "", "chair"], 12), [0, 4, 1])
    assert texts.lengths_N.tolist() == [4, 1, 2]
    assert texts.types_N.tolist() == [0, 4, 1]
    assert texts.ids_T.tolist() == [*ids("a red chair"), 0, 0, *ids("chair"), 0]
    nothing = pack_texts([], [])
    assert (nothing.ids_T.numel(), nothing.lengths_N.numel(), nothing.types_N.numel()) == (0, 0, 0)


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return TextTower(CONFIG).eval()


def read(tower, texts: list[str], types: list[int]) -> list[torch.Tensor]:
    packed = pack_texts(encode_texts(TOKENIZER, texts, CONFIG.context), types)
    return list(torch.split(tower(packed, Packing.of(packed.lengths_N)), packed.lengths_N.tolist()))


def test_each_text_is_read_alone(tower):
    texts = ["a red chair", "Stuhl", "", "a blue chair and a very long text about it"]
    together = read(tower, texts, [0, 1, 2, 4])
    for text, kind, tokens in zip(texts, [0, 1, 2, 4], together, strict=True):
        assert torch.allclose(tokens, read(tower, [text], [kind])[0], atol=1e-5)


def test_the_type_of_the_signal_is_told(tower):
    title, query = read(tower, ["a red chair"] * 2, [0, 4])
    assert not torch.allclose(title, query, atol=1e-3)


def test_the_order_of_words_is_told(tower):
    one, two = (tokens.mean(0) for tokens in read(tower, ["red chair", "chair red"], [0, 0]))
    assert not torch.allclose(one, two, atol=1e-5)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_mean_pool_is_the_mean_of_each(lengths):
    x = torch.randn(sum(lengths), 5, generator=torch.Generator().manual_seed(0))
    pooled = mean_pool(x, torch.tensor(lengths))
    for row, part in zip(pooled, torch.split(x, lengths), strict=True):
        assert torch.allclose(row, part.mean(0) if len(part) else torch.zeros(5), atol=1e-6)


def test_mean_pool_adds_in_float32():
    """In bf16, 1 + 1 + … stands still at 256."""
    assert mean_pool(torch.ones(1000, 1, dtype=torch.bfloat16), torch.tensor([1000])).item() == 1.0
