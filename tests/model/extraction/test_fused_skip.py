"""fusion.skip: what is kept of frozen towers reaches the Pin vector, and only of what its Pin has."""

import pytest
import torch

from model.config.overrides import override
from model.network.encoder import PinEncoder
from model.network.text import pack_texts

OWNERS = torch.tensor([0, 0, 2, -1])  # Pin 1 has no text, the last text is a query


@pytest.fixture(scope="module")
def encoder(joined):
    torch.manual_seed(0)
    return PinEncoder(joined).eval()


def vectors(encoder, has_image=(True, True, True), change=lambda images, texts: None, config=None):
    """Pin vectors (3, E) of the same made-up Pins, once `change` has touched what is kept of them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, encoder.config.vision.grid**2, encoder.vision.tower.width, generator=generator)
    texts = torch.randn(4, encoder.text.tower.width, generator=generator)
    change(images, texts)
    ids = [torch.tensor(row, dtype=torch.int32).numpy() for row in ([5, 0], [6, 7, 8, 0], [9, 0], [4, 0])]
    packed = pack_texts(ids, [0, 2, 0, 0], texts)
    pixels, has = torch.full((3, 32, 32, 3), 7, dtype=torch.uint8), torch.tensor(has_image)
    with torch.inference_mode():
        tokens = encoder.encode_images(pixels, images)[1]
        return encoder.fuse(tokens, has, encoder.encode_texts(packed)[1], packed, OWNERS, images)


def differ(one, two):
    """Which Pins' vectors differ."""
    return [not torch.allclose(a, b, atol=1e-5) for a, b in zip(one, two, strict=True)]


def test_a_hidden_image_reaches_no_pin_vector(encoder):
    def other_image(images, texts):
        images[1] = 0

    hidden = (True, False, True)
    assert differ(vectors(encoder), vectors(encoder, change=other_image)) == [False, True, False]
    assert differ(vectors(encoder, hidden), vectors(encoder, hidden, other_image)) == [False, False, False]


def test_a_text_reaches_its_own_pin_alone(encoder):
    for text, reached in enumerate(([True, False, False], [True, False, False], [False, False, True], [False] * 3)):

        def other_text(images, texts, text=text):
            texts[text] = 0

        assert differ(vectors(encoder), vectors(encoder, change=other_text)) == reached


def test_by_hand(encoder, joined):
    """The sum, normalised, of what fusion gives, the head of the mean image token, and that of the mean text."""
    kept = {}
    with_skip = vectors(encoder, change=lambda images, texts: kept.update(images=images.clone(), texts=texts.clone()))
    outcome = {}
    handle = encoder.fusion.register_forward_hook(lambda module, given, out: outcome.update(fused=out))
    vectors(encoder)
    handle.remove()
    with torch.inference_mode():
        texts = torch.stack([kept["texts"][:2].mean(0), torch.zeros(24), kept["texts"][2]])
        expected = outcome["fused"] + encoder.image_skip(kept["images"].mean(1))
        expected = expected + encoder.text_skip(texts) * torch.tensor([[1.0], [0.0], [1.0]])
    assert torch.allclose(with_skip, expected / expected.norm(dim=1, keepdim=True), atol=1e-5)
    assert set(PinEncoder(override(joined, {"fusion": {"skip": False}})).state_dict()) == set(encoder.state_dict())
