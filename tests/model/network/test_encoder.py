"""How the encoder behaves: what must not change a vector, what must, and what works with a part missing."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from model.config.overrides import override
from model.network.encoder import PinEncoder, prefixes
from model.network.text import pack_texts

FUSIONS = {
    "hybrid": {},
    "token level only": {"fusion": {"global_level": False}},
    "global level only": {"fusion": {"token_level": False}},
}


@pytest.fixture(scope="module", params=FUSIONS)
def encoder(request, config):
    torch.manual_seed(0)
    return PinEncoder(override(config, FUSIONS[request.param])).eval()


@pytest.fixture(scope="module")
def pixels():
    return torch.randint(0, 256, (6, 32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def texts_of(*rows: tuple[int, list[int], int]):
    """(packed texts, owners) from rows of (Pin, token ids, type)."""
    packed = pack_texts([torch.tensor(ids, dtype=torch.int32).numpy() for _, ids, _ in rows], [k for _, _, k in rows])
    return packed, torch.tensor([pin for pin, _, _ in rows], dtype=torch.int64)


@torch.inference_mode()
def pin_vectors(encoder, pixels, texts, owner, has_image=None):
    has_image = torch.ones(len(pixels), dtype=torch.bool) if has_image is None else torch.tensor(has_image)
    _, image_tokens = encoder.encode_images(pixels)
    _, text_tokens = encoder.encode_texts(texts)
    return encoder.fuse(image_tokens, has_image, text_tokens, texts, owner)


SOME = [(0, [5, 6, 7, 0], 0), (1, [9, 0], 3), (1, [8, 8, 3, 2, 0], 2), (3, [4, 0], 0), (4, [5, 6, 7, 0], 0)]


def test_all_vectors_have_length_one(encoder, pixels):
    texts, owner = texts_of(*SOME)
    with torch.inference_mode():
        image, text = encoder.encode_images(pixels)[0], encoder.encode_texts(texts)[0]
    for vectors, rows in ((image, 6), (text, 5), (pin_vectors(encoder, pixels, texts, owner), 6)):
        assert vectors.shape == (rows, encoder.config.fusion.dim)
        assert vectors.dtype == torch.float32
        assert torch.allclose(vectors.norm(dim=1), torch.ones(rows), atol=1e-5)


def test_a_pins_vector_does_not_depend_on_the_batch(encoder, pixels):
    texts, owner = texts_of(*SOME)
    together = pin_vectors(encoder, pixels, texts, owner)
    for pin in range(len(pixels)):
        alone, _ = texts_of(*[(0, ids, kind) for who, ids, kind in SOME if who == pin])
        vector = pin_vectors(
            encoder, pixels[pin : pin + 1], alone, torch.zeros(len(alone.lengths_N), dtype=torch.int64)
        )
        assert torch.allclose(vector[0], together[pin], atol=1e-4)


def test_the_order_of_the_texts_of_several_pins_is_nothing(encoder, pixels):
    expected = pin_vectors(encoder, pixels, *texts_of(*SOME))
    shuffled = [SOME[i] for i in (3, 4, 1, 0, 2)]  # each Pin's own texts keep their order
    assert torch.allclose(pin_vectors(encoder, pixels, *texts_of(*shuffled)), expected, atol=1e-5)


def test_a_pin_reads_all_of_its_texts_in_any_order(encoder, pixels):
    one = pin_vectors(encoder, pixels, *texts_of(*SOME))
    two = pin_vectors(encoder, pixels, *texts_of(*[SOME[i] for i in (0, 2, 1, 3, 4)]))
    assert torch.allclose(one, two, atol=1e-4)
    less = pin_vectors(encoder, pixels, *texts_of(*[row for row in SOME if row[2] != 2]))
    assert not torch.allclose(one[1], less[1], atol=1e-4)
    assert torch.allclose(one[[0, 2, 3, 4, 5]], less[[0, 2, 3, 4, 5]], atol=1e-4)


def test_a_text_without_owner_is_not_read(encoder, pixels):
    """A query is encoded beside the Pins' texts and stays outside fusion."""
    expected = pin_vectors(encoder, pixels, *texts_of(*SOME))
    queries = [(-1, [3, 3, 0], 4), *SOME[:2], (-1, [2, 0], 4), *SOME[2:]]
    assert torch.allclose(pin_vectors(encoder, pixels, *texts_of(*queries)), expected, atol=1e-5)


def test_image_text_and_both_are_three_vectors(encoder, pixels):
    """Pins 0 and 4 have the same words."""
    texts, owner = texts_of(*SOME)
    both = pin_vectors(encoder, pixels, texts, owner)
    image = pin_vectors(encoder, pixels, *texts_of())
    text = pin_vectors(encoder, pixels, texts, owner, has_image=[False] * 6)
    assert torch.isfinite(torch.cat([both, image, text])).all()
    for one, two in ((both, image), (both, text), (image, text)):
        assert not torch.allclose(one[0], two[0], atol=1e-4)
    assert torch.allclose(text[0], text[4], atol=1e-5)  # the hidden picture leaves no trace
    assert not torch.allclose(both[0], both[4], atol=1e-4)
    assert torch.allclose(text[2], text[5], atol=1e-5)  # nothing known of either
    assert torch.allclose(image[2], both[2], atol=1e-4)


def test_a_text_alone_is_a_vector_of_the_same_space(encoder):
    texts, _ = texts_of((0, [5, 6, 0], 4), (0, [5, 6, 0], 0))
    with torch.inference_mode():
        query, title = encoder.encode_texts(texts)[0]
    assert query.shape == (encoder.config.fusion.dim,)
    assert not torch.allclose(query, title, atol=1e-4)


def test_no_text_at_all(encoder):
    texts, _ = texts_of()
    with torch.inference_mode():
        vectors, tokens = encoder.encode_texts(texts)
    assert (len(vectors), len(tokens)) == (0, 0)


def test_prefixes_are_normalised_again():
    vectors = F.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    short, whole = prefixes(vectors, (3, 8))
    assert torch.allclose(short, vectors[:, :3] / vectors[:, :3].norm(dim=1, keepdim=True))
    assert torch.allclose(whole, vectors, atol=1e-6)


def test_a_level_that_is_off_has_no_weights(config):
    for level, names in (("token_level", ("pin_D", "blocks", "token_out")), ("global_level", ("gate", "global_out"))):
        encoder = PinEncoder(dataclasses.replace(config, fusion=dataclasses.replace(config.fusion, **{level: False})))
        assert not [n for n, _ in encoder.fusion.named_parameters() if n.startswith(names)]


def test_the_pin_vector_is_the_sum_of_both_levels(config, pixels):
    """Before it is normalised; each level has an encoder of its own with the same weights."""
    torch.manual_seed(0)
    whole = PinEncoder(config).eval().fusion
    image = torch.randn(2, 4, 32)
    text, owner, mean = torch.randn(3, 32), torch.tensor([0, 0, 1]), torch.randn(2, 32)
    asked = image, torch.tensor([True, False]), text, owner, mean
    parts = []
    for level in ("token_level", "global_level"):
        part = PinEncoder(override(config, {"fusion": {level: False}})).eval().fusion
        part.load_state_dict({n: v for n, v in whole.state_dict().items() if n in part.state_dict()})
        parts.append(part(*asked))
    with torch.inference_mode():
        assert torch.allclose(whole(*asked), parts[0] + parts[1], atol=1e-5)
