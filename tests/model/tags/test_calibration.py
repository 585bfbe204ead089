"""A score is a probability: planted ones are found again, errors are those of a hand-made case."""

import json

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from model.data.pin_rows import PinRows
from model.errors import StoreError
from model.tags.calibration import FLOOR, Tag, TagCalibration, fitted, nothing_fits, probability, reliability
from model.tags.vocabulary import PinWords

SURE = [0.0, 5.0, 0.0, 0.0, 0.0]  # five times the log-odds of the share among the very nearest


@pytest.fixture
def words():
    """Three Pins: all have `red`, two `hat`, one `rare`; the slice says who made them."""
    carried = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=np.float32)
    kinds = ["annotation", "query", "query", "slice_maker"]
    return PinWords(
        PinRows(pa.array(["a", "b", "c"], pa.large_string())),
        sp.csr_array(carried),
        pa.array(["red", "hat", "rare", "ann"]),
        pa.array(kinds),
    )


def test_planted_probabilities_are_found_again():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 3))
    planted = np.array([-1.0, 2.0, 0.0, -0.5])
    right = rng.random(len(features)) < probability(planted, features)
    found = fitted(features, right)
    assert found == pytest.approx(planted, abs=0.1)
    assert reliability(probability(found, features), right)["error"] < 0.01


def test_a_feature_that_decides_leaves_the_weights_finite():
    features = np.array([[-1.0], [-1.0], [1.0], [1.0]])
    weights = fitted(features, np.array([False, False, True, True]))
    assert np.isfinite(weights).all()
    assert probability(weights, features)[0] < 0.1


def test_the_error_is_the_gap_of_the_bins_weighed_by_their_size():
    scores, right = np.array([0.05, 0.05, 0.95, 0.85]), np.array([False, True, True, False])
    found = reliability(scores, right)
    assert found["error"] == pytest.approx((2 * 0.45 + 0.05 + 0.85) / 4)
    assert (found["proposed"], found["shown"], found["shown_right"]) == (4, 2, 0.5)
    assert found["bins"][0] == [2, 0.05, 0.5]
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool))["error"] is None


def test_words_are_shown_best_first_and_none_below_the_floor(words):
    calibration = TagCalibration({"picture": {"query": SURE, "slice_maker": SURE}}, 1, {})
    rows, cosines = np.array([0, 1, 2]), np.array([0.9, 0.9, 0.9])
    tags, highest = calibration.tags("picture", words, rows, cosines, 10)
    assert [(one.tag, one.kind, one.column) for one in tags] == [("hat", "query", None)]  # of three Pins two have it
    assert tags[0].score == pytest.approx(highest, abs=1e-4)
    tags, _ = calibration.tags("picture", words, rows[:1], cosines[:1], 10)
    assert {one.tag for one in tags} == {"hat", "rare", "ann"}  # `red`, an annotation, has no weights
    assert Tag("ann", "slice", "maker", tags[0].score) in tags
    assert len(calibration.tags("picture", words, rows[:1], cosines[:1], 2)[0]) == 2
    assert calibration.tags("texts", words, rows, cosines, 10) == ([], 0.0)  # nothing was learned about those
    assert nothing_fits(0.123) == f"No word of the catalogue fits with a score of {FLOOR} or more; the highest is 0.12."


def test_what_too_few_pins_have_is_no_tag(words):
    calibration = TagCalibration({"picture": {"query": SURE}}, 2, {})
    tags, _ = calibration.tags("picture", words, np.array([0]), np.array([0.9]), 10)
    assert [one.tag for one in tags] == ["hat"]


def test_a_calibration_comes_back_from_its_file(tmp_path):
    file = tmp_path / "tags.json"
    assert TagCalibration.read(file) is None
    kept = TagCalibration({"picture": {"query": SURE}}, 2, {"picture": {"error": 0.01}})
    kept.write(file)
    assert TagCalibration.read(file) == kept
    for damaged in ("{", json.dumps({"weights": {}})):
        file.write_text(damaged)
        with pytest.raises(StoreError, match=r"tags.json is damaged .*; publish the space again"):
            TagCalibration.read(file)
