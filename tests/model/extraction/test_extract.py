"""Frozen towers: what is kept is what they give, it is computed once, and vectors do not depend on where it is read."""

import shutil

import numpy as np
import pytest
import torch

from model.config.overrides import override
from model.data.catalogue import Catalogue
from model.data.pixels import Pixels
from model.embedding.embedder import Embedder, embed
from model.embedding.stored import read_vectors
from model.errors import ConfigError, ModelError
from model.extraction.extract import catalogue_texts, extract
from model.extraction.reading import Extraction
from model.network.checkpoint import load_model
from model.network.encoder import PinEncoder
from model.training.dataset import load_training_set
from model.training.gradient_cache import micro_batches
from model.training.loop import fit
from model.training.objective import PinClip
from model.training.sampling import training_batches


@pytest.fixture(scope="module")
def trained(tmp_path_factory, walked, joined, extracted):
    folder = tmp_path_factory.mktemp("joined") / "model"
    fit(*walked, folder, joined, lambda point: None, extracted=extracted[0])
    return folder


def test_what_is_kept_of_an_image_is_the_pooled_map_of_the_tower(walked, joined, extracted):
    kept, encoder = Extraction.read(extracted[0]), PinEncoder(joined)
    pins = Catalogue(walked[0] / "catalogue").count("pins")
    rows = [0, 7, pins - 1]
    pixels = torch.from_numpy(Pixels(walked[0] / "pixels.u8", joined.vision.image_size, pins).read(rows))
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])  # of tests/tiny_towers.py
    map_BLH = encoder.vision.tower(((pixels / 255 - mean) / std).permute(0, 3, 1, 2))
    pooled = map_BLH.view(3, 2, 2, 2, 2, -1).mean((2, 4)).flatten(1, 2)  # 4 x 4 -> 2 x 2
    found = kept.images.read(kept.of_pins(walked[0])[rows])
    assert torch.allclose(found.float(), pooled, atol=0.02, rtol=0.02)


def test_what_is_kept_of_a_text_is_its_mean_token(joined, extracted, walked):
    encoder, kept = PinEncoder(joined), Extraction.read(extracted[0])
    texts = catalogue_texts(walked[0])[:5]
    alone = torch.cat([encoder.joined_text.kept([text]) for text in texts])
    assert torch.allclose(kept.text_vectors(texts).float(), alone, atol=0.02, rtol=0.02)


def test_nothing_is_computed_twice(tmp_path, walked, joined, extracted):
    file, facts = extracted
    again = extract(walked[0], file.parent / "store", tmp_path / "extraction.json", joined)
    assert facts["images"]["new"] > 0 and facts["texts"]["new"] > 0
    assert (again["images"]["new"], again["texts"]["new"]) == (0, 0)
    assert again["images"]["found"] == facts["images"]["new"] + facts["images"]["found"]


def test_only_what_is_missing_is_computed(tmp_path, walked, joined, extracted):
    store = tmp_path / "store"
    shutil.copytree(extracted[0].parent / "store", store)
    lost = min((store / extracted[1]["texts"]["tower"]).iterdir())
    shutil.rmtree(lost)
    facts = extract(walked[0], store, tmp_path / "extraction.json", joined)
    assert facts["images"]["new"] == 0
    assert facts["texts"]["new"] > 0


@pytest.mark.parametrize(("section", "key", "value"), [("vision", "grid", 4), ("text", "context", 12)])
def test_records_of_other_settings_are_not_used(tmp_path, walked, joined, extracted, section, key, value):
    other = override(joined, {section: {key: value}})
    with pytest.raises(ModelError, match="run the extract step again"):
        fit(*walked, tmp_path / "model", other, lambda point: None, extracted=extracted[0])


def test_a_training_without_what_is_kept_is_refused(tmp_path, walked, joined):
    with pytest.raises(ModelError, match="run the extract step again"):
        fit(*walked, tmp_path / "model", joined, lambda point: None)


def test_vectors_are_the_same_with_what_is_kept_and_without(tmp_path, walked, trained, extracted):
    embed(walked[0], trained, tmp_path / "kept", extracted=extracted[0])
    embed(walked[0], trained, tmp_path / "computed")
    for name in ("pin", "image", "text"):
        kept, computed = read_vectors(tmp_path / "kept", name), read_vectors(tmp_path / "computed", name)
        cosine = (kept * computed).sum(1)[np.linalg.norm(computed, axis=1) > 0]
        assert cosine.min() > 0.9995  # records are rounded to bfloat16


def test_the_frozen_towers_do_not_learn(trained, joined):
    learnt, fresh = load_model(trained)[0], PinEncoder(joined)
    for part in ("vision", "text"):
        after, before = getattr(learnt, part).tower.state_dict(), getattr(fresh, part).tower.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)


def test_the_model_folder_is_whole(tmp_path, trained, towers, joined):
    """It loads where neither the checkpoints nor the records are."""
    copy = shutil.copytree(trained, tmp_path / "model")
    config = (copy / "config.json").read_text(encoding="utf-8")
    (copy / "config.json").write_text(config.replace(str(towers["bert"].parent.parent), "/nowhere"), encoding="utf-8")
    queries = Embedder(copy).queries(["a red chair", "tea"])
    assert np.allclose(queries, Embedder(trained).queries(["a red chair", "tea"]))
    assert np.allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("arm", ["beside", "alone"])
def test_every_learning_parameter_gets_a_gradient(walked, joined, extracted, arm):
    config = override(joined, {"vision": {"join": arm}, "text": {"join": arm}})
    batch, task = _batch(walked, config, extracted), PinClip(config)
    task(batch)["loss"].backward()
    without = [name for name, p in task.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_alone_reads_neither_the_pixels_nor_the_words(walked, joined, extracted):
    config = override(joined, {"vision": {"join": "alone"}, "text": {"join": "alone"}})
    batch, encoder = _batch(walked, config, extracted), PinClip(config).encoder.eval()
    image = encoder.encode_images(batch.pixels_bSS3, batch.kept_bLH)[0]
    assert torch.equal(image, encoder.encode_images(255 - batch.pixels_bSS3, batch.kept_bLH)[0])
    text = encoder.encode_texts(batch.texts)[0]
    batch.texts.ids_T.fill_(5)
    assert torch.equal(text, encoder.encode_texts(batch.texts)[0])


def test_a_part_of_the_batch_keeps_what_belongs_to_it(walked, joined, extracted):
    batch = _batch(walked, joined, extracted)
    encoder = PinClip(joined).encoder.eval()
    whole = encoder.encode_images(batch.pixels_bSS3, batch.kept_bLH)[0]
    parts = [encoder.encode_images(part.pixels_bSS3, part.kept_bLH)[0] for part in micro_batches(batch, 8)]
    assert torch.allclose(whole, torch.cat(parts), atol=1e-5)
    texts = encoder.encode_texts(batch.texts)[0]
    for part in micro_batches(batch, 8):
        nearest = (encoder.encode_texts(part.texts)[0] @ texts.T).max(1).values
        assert torch.allclose(nearest, torch.ones_like(nearest), atol=1e-5)


def test_a_tower_that_is_kept_cannot_learn(joined):
    with pytest.raises(ConfigError, match=r"vision.join=beside keeps what the tower gives.*vision.trainable=frozen"):
        override(joined, {"vision": {"trainable": "full"}})


def test_a_grid_that_the_stem_cannot_read_is_refused(joined):
    with pytest.raises(ConfigError, match=r"vision.image_size 32 does not divide by 24"):
        override(joined, {"vision": {"grid": 3, "depths": [1]}})


def test_a_grid_that_the_tower_does_not_give_is_refused(joined):
    with pytest.raises(ModelError, match=r"vision.grid is 8, but the tower .* gives 4 x 4 tokens"):
        PinEncoder(override(joined, {"vision": {"grid": 8, "patch": 4}}))


def _batch(walked, config, extracted):
    training_set, _ = load_training_set(*walked, config, Extraction.read(extracted[0]))
    return next(iter(training_batches(training_set, config, 0, 1, 0, 1)))
