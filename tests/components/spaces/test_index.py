"""The index of a published space: its recall, asked by Pins and by words, and the effort that it takes."""

import dataclasses

import numpy as np
import pytest
from feature_home import CREATED, DIM, quantized

from components.spaces import index as index_of_spaces
from components.spaces.config import PromotionConfig
from components.spaces.index import bring_index_up, nearest_cosines, recall_of
from components.spaces.paths import state_folder
from components.spaces.published_spaces import published_space
from model.embedding.affine import unit_length
from model.errors import VectorIndexError
from serving.index import IndexConfig, PinIndex

MOST = IndexConfig(effort=4_096, links=2)  # with so few links it never finds all


@pytest.fixture
def home(features_home, tmp_path):
    return features_home.beside(tmp_path)


def recall(index, manifest, asked_QE):
    rows, affine = manifest.newest(), manifest.affine
    return recall_of(index, rows, affine, asked_QE, nearest_cosines(rows, affine, asked_QE), index.config.effort)


def test_an_index_that_finds_too_little_of_searches_in_words_is_refused(home, tmp_path):
    registration = home.registered()
    folder, _ = quantized(tmp_path / "q", seed=51)
    asked_QE = unit_length(np.random.default_rng(5).normal(size=(400, DIM)).astype(np.float32))
    np.save(folder / "queries.npy", asked_QE[:0])
    home.publish(folder, registration)
    manifest = published_space(registration.space, home.settings).manifest
    index = PinIndex.of_published(manifest, MOST)
    index.save(state_folder(registration.space, home.settings) / "index")
    by_pins = bring_index_up(manifest, PromotionConfig(min_index_recall=0), home.settings)
    found_Q = [recall(index, manifest, query_E[None]) for query_E in asked_QE]
    np.save(folder / "queries.npy", asked_QE[np.argsort(found_Q)[:20]])
    home.publish(folder, registration)
    by_words = bring_index_up(manifest, PromotionConfig(min_index_recall=0), home.settings)
    assert by_words == pytest.approx(np.sort(found_Q)[:20].mean()) and by_words < by_pins
    floor = PromotionConfig(min_index_recall=(by_words + by_pins) / 2)
    with pytest.raises(VectorIndexError, match="of the Pins nearest to searches in words, below"):
        bring_index_up(manifest, floor, home.settings)


def test_an_index_looks_longer_until_it_finds_what_is_asked_for(home):
    space, _ = home.new_space(seed=52)
    manifest, every = published_space(space, home.settings).manifest, PromotionConfig(recall_queries=1_000)
    folder, vectors = state_folder(space, home.settings) / "index", manifest.newest()
    least = dataclasses.replace(MOST, effort=1)
    index = PinIndex.of_published(manifest, least)
    index.save(folder)
    asked_QE = manifest.affine.vectors(vectors.codes_NE)
    worst = recall(index, manifest, asked_QE)
    index.config = MOST
    best = recall(index, manifest, asked_QE)
    assert worst < best < 1
    assert bring_index_up(manifest, dataclasses.replace(every, min_index_recall=worst), home.settings) == worst
    assert PinIndex.open(folder, space).config == least
    floor = (worst + best) / 2
    assert bring_index_up(manifest, dataclasses.replace(every, min_index_recall=floor), home.settings) >= floor
    config = PinIndex.open(folder, space).config
    assert 1 < config.effort <= 512
    with pytest.raises(VectorIndexError, match="of the Pins nearest to other Pins, below"):
        bring_index_up(manifest, dataclasses.replace(every, min_index_recall=(best + 1) / 2), home.settings)
    assert PinIndex.open(folder, space).config == config
    index.config = least  # of a service that opened it before
    index.save(folder)
    assert index.config == PinIndex.open(folder, space).config == config


def test_what_a_service_saves_while_the_recall_is_measured_stays(home, monkeypatch):
    space, _ = home.new_space(seed=53)
    manifest = published_space(space, home.settings).manifest
    folder, vectors = state_folder(space, home.settings) / "index", manifest.newest()
    PinIndex.of_published(manifest, dataclasses.replace(MOST, effort=1)).save(folder)
    measure, told = recall_of, []

    def meanwhile(*arguments):
        if not told:
            service = PinIndex.open(folder, space)
            told.extend(service.upsert(["new"], vectors.codes_NE[:1], [CREATED]) or ["written"])
            service.save(folder)
        return measure(*arguments)

    monkeypatch.setattr(index_of_spaces, "recall_of", meanwhile)
    worst = bring_index_up(manifest, PromotionConfig(min_index_recall=0), home.settings)
    told.clear()
    bring_index_up(manifest, PromotionConfig(min_index_recall=worst + 0.01), home.settings)
    index = PinIndex.open(folder, space)
    assert index.config.effort > 1
    assert len(index) == len(vectors) + 1


def test_efforts_double_up_to_the_most():
    assert list(index_of_spaces._efforts(192)) == [192, 384, 768, 1536, 3072, 4096]
    assert list(index_of_spaces._efforts(9_000)) == [9_000]
