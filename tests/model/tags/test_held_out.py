"""A space of planted topics: what held-out Pins teach, and that their own variants teach nothing."""

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from model.data.pin_rows import PinRows
from model.embedding.affine import unit_length
from model.embedding.held_out import HeldOut
from model.tags.held_out import calibrated, judged
from model.tags.vocabulary import PinWords

TOPICS, PINS, HELD, DIM = 12, 900, 300, 16


@pytest.fixture(scope="module")
def planted():
    """Each Pin has the query of its topic, a word of its own group (three Pins), and a slice drawn by chance."""
    rng = np.random.default_rng(0)
    topic_N, group_N = rng.integers(TOPICS, size=PINS), np.arange(PINS) // 3
    topic_N = topic_N[group_N]
    centres = unit_length(rng.normal(size=(TOPICS, DIM)))
    vectors = unit_length((centres[topic_N] + 0.35 * rng.normal(size=(PINS, DIM))).astype(np.float32))
    carried = np.zeros((PINS, TOPICS + PINS // 3 + 2), dtype=np.float32)
    carried[np.arange(PINS), topic_N] = carried[np.arange(PINS), TOPICS + group_N] = 1
    carried[np.arange(PINS), -1 - rng.integers(2, size=PINS)] = 1
    kinds = ["query"] * TOPICS + ["annotation"] * (PINS // 3) + ["slice_side"] * 2
    ids = pa.array([f"p{i:04}" for i in range(PINS)])
    named = pa.array([f"w{i}" for i in range(carried.shape[1])])
    words = PinWords(PinRows(ids.cast(pa.large_string())), sp.csr_array(carried), named, pa.array(kinds))
    groups = {pin_id: f"g{group}" for pin_id, group in zip(ids.to_pylist(), group_N, strict=True)}
    held = np.sort(rng.permutation(PINS)[:HELD])
    nothing = np.zeros((HELD, DIM), dtype=np.float32)
    given = HeldOut(ids.take(pa.array(held)), {"picture": vectors[held], "texts": nothing, "both": vectors[held]}, 2)
    return judged(given, words, ids, groups, lambda: [vectors[:500], vectors[500:]])


def test_scores_hold_for_the_half_that_taught_nothing(planted):
    calibration = calibrated(planted, 2)
    found = calibration.figures["picture"]
    assert found["error"] < 0.04
    assert found["shown_score"] == pytest.approx(found["shown_right"], abs=0.05)
    assert calibration.weights["picture"].keys() == {"query", "slice_side"}
    side = planted["picture"].where(planted["picture"].kinds_P == "slice_side")
    scores = calibration.scores("picture", side.kinds_P.tolist(), side.features_PF)
    assert scores.std() < 0.1  # the neighbours do not know it
    assert scores.mean() == pytest.approx(side.right_P.mean(), abs=0.05)


def test_a_word_of_its_variants_alone_is_not_found_through_them(planted):
    asked = planted["picture"]
    assert "annotation" in asked.kinds_P  # of other groups
    assert not asked.right_P[asked.kinds_P == "annotation"].any()


def test_the_two_halves_share_no_group_and_what_was_not_given_is_not_asked(planted):
    assert 0 < planted["picture"].teaches_P.mean() < 1
    assert len(planted["texts"].right_P) == 0
    assert calibrated(planted, 2).weights["texts"] == {}
