"""What the nearest Pins say for their words, against sums written out."""

import numpy as np
import pytest
import scipy.sparse as sp

from model.tags.evidence import BROAD, EDGE, SHARP, proposals

# Pins 0 … 3 and the words 0 … 3 that they have
CARRIED = sp.csr_array(np.array([[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float32))
COUNTS = np.array([2, 2, 1, 1])
USERS = np.array([9, 9, 9, 9])


def test_features_are_the_sums_of_the_docstring():
    cosines = np.array([0.9, 0.8, 0.5])
    found = proposals(np.array([0, 2, 1]), cosines, CARRIED, COUNTS, USERS, least=1)
    assert found.words_C.tolist() == [0, 1, 2]
    for word, features in zip(found.words_C, found.features_CF, strict=True):
        has = CARRIED.toarray()[[0, 2, 1], word]
        for tau, odds in zip((SHARP, BROAD), features[:2], strict=True):
            share = (np.exp(cosines / tau) * has).sum() / np.exp(cosines / tau).sum()
            assert odds == pytest.approx(np.log((share + EDGE) / (1 - share + EDGE)))
        assert features[2] == cosines[has > 0].max()
        assert features[3] == pytest.approx(np.log(COUNTS[word] / 4))


def test_a_word_of_too_few_pins_is_not_proposed():
    assert proposals(np.array([0, 2]), np.array([0.9, 0.8]), CARRIED, COUNTS, USERS, least=2).words_C.tolist() == [0, 1]


def test_a_title_of_too_few_users_is_not_proposed():
    users = np.array([9, 1, 9, 9])
    assert proposals(np.array([0, 2]), np.array([0.9, 0.8]), CARRIED, COUNTS, users, least=2).words_C.tolist() == [0]


def test_pins_without_words_and_no_pins_at_all_propose_nothing():
    for rows in ([-1, -1], []):
        found = proposals(np.array(rows, dtype=np.int64), np.zeros(len(rows)), CARRIED, COUNTS, USERS, least=1)
        assert (len(found.words_C), found.features_CF.shape) == (0, (0, 4))
