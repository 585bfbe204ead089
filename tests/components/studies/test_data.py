"""A setting is prepared and walked once, and again only where it asks for something else."""

import numpy as np
import pytest

from components.studies.data import StudyData, digest_of
from model.config.overrides import override
from model.errors import CatalogueError
from model.graph.neighbourhood import read_fresh


def test_what_is_there_is_not_made_again(data, config):
    prepared, neighbours = data.prepared(config), data.neighbours(config)
    before = [path.stat().st_mtime_ns for path in (prepared, neighbours, prepared / "pixels.u8")]
    again = override(config, {"train": {"epochs": 9}, "objective": {"neighbour": 0.0}})
    assert (data.prepared(again), data.neighbours(again)) == (prepared, neighbours)
    assert [path.stat().st_mtime_ns for path in (prepared, neighbours, prepared / "pixels.u8")] == before


def test_another_split_is_another_walk_on_the_same_prepared_pins(data, config):
    half = override(config, {"split": {"train_share": 0.5}})
    assert data.prepared(half) == data.prepared(config)
    assert data.neighbours(half) != data.neighbours(config)
    assert np.array_equal(read_fresh(data.neighbours(half)), read_fresh(data.neighbours(config)))


def test_a_decoding_that_was_killed_is_done_again(catalogue, tmp_path, config, monkeypatch):
    data = StudyData.of(catalogue, tmp_path)

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("model.data.preparation.decode_catalogue", killed)
        data.prepared(config)
    assert not list(tmp_path.glob("prepared-*"))
    assert (data.prepared(config) / "pixels.u8").is_file()


def test_a_missing_catalogue_is_one_sentence(tmp_path):
    with pytest.raises(CatalogueError, match="There is no catalogue at"):
        StudyData.of(tmp_path / "nowhere", tmp_path / "data")


def test_a_digest_tells_its_parts_apart():
    assert digest_of("a", {"b": 1}) == digest_of("a", {"b": 1})
    assert len({digest_of("a", "b"), digest_of("ab"), digest_of("a", {"b": 1}), digest_of("b", "a")}) == 4
