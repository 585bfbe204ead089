"""Anchors: each training Pin's own former vector, zeros without; of another dimension or other Pins, one sentence."""

import numpy as np
import pyarrow as pa
import pytest

from model.errors import TrainingError
from model.training import anchors
from model.training.anchors import read_anchors, write_anchors


@pytest.fixture
def file(tmp_path):
    """Vectors of a, b, c, d and e, not in the order of any catalogue."""
    write_anchors(tmp_path / "anchors.parquet", pa.array(list("ebdac")), np.eye(5, 4) + 0.25)
    return tmp_path / "anchors.parquet"


@pytest.mark.parametrize("part", [1, 2, 100])
def test_each_pin_gets_its_own_vector_and_zeros_without(file, part, monkeypatch):
    monkeypatch.setattr(anchors, "PART", part)
    found = read_anchors(file, pa.array(["d", "new", "a"]), 4)
    assert found.tolist() == [[0.25, 0.25, 1.25, 0.25], [0, 0, 0, 0], [0.25, 0.25, 0.25, 1.25]]


def test_another_dimension_is_refused_with_the_setting_that_would_fit(file):
    with pytest.raises(TrainingError, match=r"vectors of 4 dimensions, and fusion.dim is 8; set fusion.dim=4"):
        read_anchors(file, pa.array(["a"]), 8)


def test_vectors_of_other_pins_are_no_anchors(file):
    with pytest.raises(TrainingError, match=r"None of the 5 Pins .* is among the 2 training Pins"):
        read_anchors(file, pa.array(["x", "y"]), 4)
