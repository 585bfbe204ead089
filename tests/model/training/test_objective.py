"""The task: which losses there are, what each of them compares, and that every weight that learns gets a gradient."""

import dataclasses

import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from model.config import clip_baseline
from model.config.overrides import override
from model.network.encoder import prefixes
from model.training.losses import sigmoid_loss, softmax_loss
from model.training.objective import PinClip, on
from model.training.sampling import training_batches


@pytest.fixture(scope="module")
def batch(training_set, config):
    return next(training_batches(training_set, config, 0, 1, 0, 1))


def task_of(config, **objective) -> PinClip:
    torch.manual_seed(0)
    return PinClip(override(config, {"objective": objective}))


@pytest.fixture(scope="module")
def parts(config, batch):
    """The vectors that the default task compares: image, text by role, fused Pin."""
    task = task_of(config)
    with torch.no_grad():
        image, tokens = task.encoder.encode_images(batch.pixels_bSS3)
        text, text_tokens = task.encoder.encode_texts(batch.texts)
        owner = [o if o >= 0 and batch.has_text_b[o] else -1 for o in batch.owner_N.tolist()]
        pin = task.encoder.fuse(tokens, batch.has_image_b, text_tokens, batch.texts, torch.tensor(owner))
    rows = {role: [text[s] if s >= 0 else torch.zeros(32) for s in slots] for role, slots in batch.slot.items()}
    return task, image, {role: torch.stack(vectors) for role, vectors in rows.items()}, pin


def test_image_text_is_the_mean_over_the_kinds_of_text(parts, batch):
    """Softmax from both sides; queries are aligned with fused Pins, not with images."""
    task, image, texts, _ = parts
    expected = []
    for role in ("long", "short"):
        expected.append(softmax_loss(image, texts[role], batch.labels[role], task.image_text_temperature))
        expected.append(softmax_loss(texts[role], image, batch.labels_back[role], task.image_text_temperature))
    assert task(batch)["image_text"].item() == pytest.approx(sum(expected).item() / 4, rel=1e-5)


def test_neighbour_is_the_mean_over_the_prefixes(parts, batch):
    task, _, _, pin = parts
    expected = [
        sigmoid_loss(x, x, batch.labels["neighbour"], task.neighbour_temperature) for x in prefixes(pin, (16, 32))
    ]
    assert task(batch)["neighbour"].item() == pytest.approx(sum(expected).item() / 2, rel=1e-5)


def test_text_fused_asks_with_queries_and_with_texts_that_fusion_has_not_seen(parts, batch):
    task, _, texts, pin = parts
    expected = 0.0
    for role, vectors in texts.items():
        labels = batch.labels[role].clone()
        if role != "query":
            labels[batch.has_text_b] = 0
        for x, y in zip(prefixes(pin, (16, 32)), prefixes(vectors, (16, 32)), strict=True):
            expected += sigmoid_loss(x, y, labels, task.text_fused_temperature).item() / 2
    assert not batch.has_text_b.all()
    assert task(batch)["text_fused"].item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_the_weighted_sum(config, batch):
    losses = task_of(config, image_text=0.5, neighbour=2.0, text_fused=3.0)(batch)
    expected = 0.5 * losses["image_text"] + 2 * losses["neighbour"] + 3 * losses["text_fused"]
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_weight_of_0_removes_the_loss(config, batch):
    assert set(task_of(config, neighbour=0)(batch)) == {"image_text", "text_fused", "loss"}
    assert set(task_of(config, text_fused=0)(batch)) == {"image_text", "neighbour", "loss"}
    task = PinClip(clip_baseline(config))
    assert set(task(batch)) == {"image_text", "loss"}
    assert not any(parameter.requires_grad for parameter in task.encoder.fusion.parameters())


def test_compatible_asks_former_vectors_as_new_ones_are_asked_and_pulls_each_pin_to_its_own(parts, batch, config):
    """Every third Pin has no former vector: it is nobody's match and is pulled nowhere."""
    _, _, texts, pin = parts
    anchors = F.normalize(torch.randn(pin.shape, generator=torch.Generator().manual_seed(1)), dim=1)
    anchors[::3] = 0
    has = anchors.any(1)
    task = task_of(override(config, {"train": {"compatible_with": "1"}}), compatible=0.5)
    expected = 10 * ((1 - (pin * anchors).sum(1)) * has).mean().item()
    pairs = batch.labels["neighbour"].clone().fill_diagonal_(1) * has
    for role, vectors in texts.items():
        labels = batch.labels[role] * has[:, None]
        for x, y in zip(prefixes(anchors, (16, 32)), prefixes(vectors, (16, 32)), strict=True):
            expected += sigmoid_loss(x, y, labels, task.anchor_text_temperature).item() / 2
    for x, y in zip(prefixes(pin, (16, 32)), prefixes(anchors, (16, 32)), strict=True):
        expected += sigmoid_loss(x, y, pairs, task.anchor_pin_temperature).item() / 2
    labels = {role: batch.labels[role] * has[:, None] for role in texts}
    more = {f"anchor_{role}": matches for role, matches in labels.items()} | {"anchor": pairs}
    beside = dataclasses.replace(
        batch,
        anchor_bE=anchors,
        labels=batch.labels | more,
        labels_back=batch.labels_back | {name: matches.T for name, matches in more.items()},
    )
    losses = task(beside)
    assert losses["compatible"].item() == pytest.approx(expected, rel=1e-5)
    without = task(batch)
    assert "compatible" not in without
    assert losses["loss"].item() == pytest.approx((without["loss"] + 0.5 * losses["compatible"]).item(), rel=1e-5)


def test_the_clip_baseline_is_the_same_network(config):
    counts = [sum(p.numel() for p in PinClip(c).encoder.parameters()) for c in (config, clip_baseline(config))]
    assert counts[0] == counts[1]
    assert clip_baseline(config).train == config.train


def test_softmax_looks_for_the_text_and_for_the_image(parts, config, batch):
    _, image, texts, _ = parts
    task = task_of(config, image_text_loss="softmax", image_texts=("long",))
    asked = batch.labels["long"], batch.labels["long"].T
    to_text = softmax_loss(image, texts["long"], asked[0], task.image_text_temperature)
    to_image = softmax_loss(texts["long"], image, asked[1], task.image_text_temperature)
    assert task(batch)["image_text"].item() == pytest.approx((to_text + to_image).item() / 2, rel=1e-5)


def test_softmax_of_the_fused_vectors_hides_seen_texts_from_both_sides(parts, config, batch):
    _, _, texts, pin = parts
    task = task_of(config, fused_loss="softmax")
    expected = 0.0
    for role, vectors in texts.items():
        labels = batch.labels[role].clone()
        if role != "query":
            labels[batch.has_text_b] = 0
        for x, y in zip(prefixes(pin, (16, 32)), prefixes(vectors, (16, 32)), strict=True):
            expected += softmax_loss(x, y, labels, task.text_fused_temperature).item() / 4
            expected += softmax_loss(y, x, labels.T, task.text_fused_temperature).item() / 4
    losses = task(batch)
    assert losses["text_fused"].item() == pytest.approx(expected, rel=1e-5)
    neighbours = [
        softmax_loss(x, x, batch.labels["neighbour"], task.neighbour_temperature) for x in prefixes(pin, (16, 32))
    ]
    assert losses["neighbour"].item() == pytest.approx(sum(neighbours).item() / 2, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"objective": {"neighbour": 0}},
        {"objective": {"text_fused": 0}},
        {"objective": {"neighbour": 0, "text_fused": 0}},
        {"objective": {"image_texts": ["query"]}},
        {"objective": {"image_text_loss": "softmax", "fused_loss": "softmax"}},
        {"fusion": {"token_level": False}},
        {"fusion": {"global_level": False}},
        {"train": {"hide_image": 0, "hide_text": 0}},
        {"train": {"hide_image": 0, "hide_text": 1}},
        {"train": {"hide_image": 1, "hide_text": 0}},
    ],
)
def test_every_weight_that_learns_gets_a_gradient(training_set, config, changes):
    """Workers that share gradients wait for ever for one that never comes."""
    config = override(config, changes)
    task = PinClip(config)
    task(next(training_batches(training_set, config, 0, 1, 0, 1)))["loss"].backward()
    assert not [name for name, p in task.named_parameters() if p.requires_grad and p.grad is None]
    assert all(torch.isfinite(p.grad).all() for p in task.parameters() if p.requires_grad)


def test_one_kind_of_text_weighs_as_much_as_two(training_set, config):
    """Where no Pin has a short text, image–text is the long texts' loss, not half of it."""
    names = ("title", "description")
    silent = dataclasses.replace(training_set, signals={n: training_set.signals[n] for n in names})
    batch = next(training_batches(silent, config, 0, 1, 0, 1))
    assert "short" not in batch.shown
    task = PinClip(override(config, {"objective": {"image_texts": ("long", "short")}}))
    alone = task_of(override(config, {"objective": {"image_texts": ("long",)}}))
    alone.load_state_dict(task.state_dict())
    assert task(batch)["image_text"].item() == pytest.approx(alone(batch)["image_text"].item(), rel=1e-5)


def test_a_batch_without_any_text(training_set, config):
    silent = dataclasses.replace(
        training_set, signals={}, words=[], words_of_pin=sp.csr_matrix((len(training_set), 0), dtype="float32")
    )
    task = PinClip(config)
    losses = task(next(training_batches(silent, config, 0, 1, 0, 1)))
    losses["loss"].backward()
    assert losses["image_text"].item() == losses["text_fused"].item() == 0
    assert not [name for name, p in task.named_parameters() if p.requires_grad and p.grad is None]


def test_a_step_downhill_lowers_the_loss(config, batch):
    task = task_of(config)
    before = task(batch)["loss"]
    before.backward()
    with torch.no_grad():
        norm = torch.cat([p.grad.flatten() for p in task.parameters()]).norm()
        for parameter in task.parameters():
            parameter -= 1e-3 * parameter.grad / norm
    assert task(batch)["loss"] < before


def test_on_a_device_nothing_else_changes(batch):
    moved = on(torch.device("cpu"), batch)
    for field in dataclasses.fields(batch):
        one, two = getattr(batch, field.name), getattr(moved, field.name)
        if isinstance(one, dict):
            assert all(torch.equal(one[key], two[key]) for key in one)
        elif field.name == "shown" or one is None:
            assert one == two
        elif field.name != "texts":
            assert torch.equal(one, two)
    assert torch.equal(moved.texts.ids_T, batch.texts.ids_T)
