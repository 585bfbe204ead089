"""The version that a new one stays comparable with: named, refused where it cannot be, its vectors handed over."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from feature_home import DIM

from components.configuration import load
from components.registry.candidates import set_champion
from components.registry.versions import CHAMPION
from components.spaces.compatible import anchors, named
from model.embedding.affine import Affine
from model.errors import StoreError, TrainingError
from model.training.anchors import read_anchors


@pytest.fixture(scope="module")
def home(features_home, tmp_path_factory):
    """One published version, and one that was registered alone."""
    home = features_home.beside(tmp_path_factory.mktemp("compatible"))
    home.space, home.vectors = home.new_space(seed=1)
    home.unpublished = home.registered().version
    return home


def asking(version: str, dim: int = DIM):
    return load("smoke", [f"train.compatible_with={version}", f"fusion.dim={dim}", f"fusion.prefixes={dim}"])


def test_the_champion_is_named_by_its_number_and_a_number_stays(home):
    number = home.space.removeprefix("v")
    with pytest.raises(StoreError, match="is the champion; set that alias in MLflow"):
        named(asking("champion"), home.settings)
    set_champion(int(number), home.settings)
    try:
        assert named(asking("champion"), home.settings) == named(asking(number), home.settings) == asking(number)
    finally:  # other tests share the registry
        home.client.delete_registered_model_alias("pinclip", CHAMPION)
    free = load("smoke")
    assert named(free, home.settings) is free


def test_a_version_without_a_space_and_one_of_another_dimension_are_refused(home):
    with pytest.raises(
        StoreError, match=rf"version {home.unpublished}, but its space v{home.unpublished} is retired or"
    ):
        named(asking(str(home.unpublished)), home.settings)
    with pytest.raises(TrainingError, match=rf"{DIM} dimensions, and fusion.dim is {2 * DIM}; set fusion.dim={DIM}"):
        named(asking(home.space.removeprefix("v"), 2 * DIM), home.settings)


def test_the_training_gets_the_vectors_as_readers_do_and_nothing_is_left(home, tmp_path):
    affine = Affine(0.0078125, 3, 8, DIM)
    with anchors(asking(home.space.removeprefix("v")), home.settings, tmp_path / "model") as file:
        ids = pq.read_table(file, columns=["pin_id"])["pin_id"].combine_chunks()
        assert sorted(ids.to_pylist()) == sorted(home.vectors)
        stored = np.stack([np.frombuffer(home.vectors[pin_id], np.int8) for pin_id in ids.to_pylist()])
        assert np.allclose(read_anchors(file, ids, DIM), affine.vectors(stored), atol=1e-3)
    assert list(tmp_path.iterdir()) == []
    with anchors(load("smoke"), home.settings, tmp_path / "model") as file:
        assert file is None
