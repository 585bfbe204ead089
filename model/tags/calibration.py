"""What proposals are worth: a score of 0.8 means that four of five such words were right for held-out Pins.

Platt's map (1999), a logistic regression on the features of evidence.py, is fitted for every kind of word and for what
was given (a picture, texts, both) on one half of the held-out Pins and judged on the other. A kind of which that half
has fewer than ENOUGH right proposals teaches nothing reliable: its words are never shown.

    <home>/serving/<space>/tags.json     weights, min_board_pins, figures: neither words nor ids

Shape legend: P proposals · C proposals for one query · F features
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.data.catalogue import SLICE_PREFIX
from model.errors import StoreError
from model.files import write_json
from model.tags.evidence import Proposals, proposals
from model.tags.vocabulary import PinWords

TAGS_FILE = "tags.json"
FLOOR = 0.3  # of a score: below it a word is noise to whoever reads it
ENOUGH = 50  # right proposals
BINS = 10  # of the expected calibration error, equally wide
RIDGE, ROUNDS = 1e-2, 50


@dataclass(frozen=True)
class Tag:
    tag: str
    kind: str  # annotation, query or slice
    column: str | None  # of a slice, without slice_
    score: float  # the probability that it is right


@dataclass(frozen=True)
class TagCalibration:
    weights: Mapping[str, Mapping[str, Sequence[float]]]  # by what is given, by kind: of 1 and of each feature
    min_board_pins: int  # that must have a word (k-anonymity); users alike
    figures: Mapping[str, Mapping[str, Any]]  # by what is given: see reliability()

    @staticmethod
    def read(file: Path) -> "TagCalibration | None":
        """None where publishing kept none.

        Raises:
            StoreError: the file is damaged.
        """
        if not file.is_file():
            return None
        try:
            return TagCalibration(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise StoreError(f"{file} is damaged ({error}); publish the space again.") from None

    def write(self, file: Path) -> None:
        write_json(file, asdict(self))

    def scores(self, given: str, kinds_C: Sequence[str], features_CF: np.ndarray) -> np.ndarray:
        """float64 (C,); 0 for a kind without weights."""
        scores_C, known = np.zeros(len(kinds_C)), self.weights.get(given, {})
        for kind in set(kinds_C) & set(known):
            of_kind = np.array([one == kind for one in kinds_C])
            scores_C[of_kind] = probability(np.array(known[kind]), features_CF[of_kind])
        return scores_C

    def tags(
        self, given: str, words: PinWords, rows_K: np.ndarray, cosines_K: np.ndarray, most: int
    ) -> tuple[list[Tag], float]:
        """(words that fit, the best first, at most `most`; the highest score of all that were proposed)."""
        counts = words.counts_T, words.users_T
        found: Proposals = proposals(rows_K, cosines_K, words.carried_NT, *counts, self.min_board_pins)
        kinds = words.kinds.take(found.words_C).to_pylist()
        scores_C = self.scores(given, kinds, found.features_CF)
        best = [place for place in np.argsort(-scores_C, kind="stable")[:most] if scores_C[place] >= FLOOR]
        named = words.words.take(found.words_C[best]).to_pylist()
        tags = [_tag(word, kinds[c], float(scores_C[c])) for word, c in zip(named, best, strict=True)]
        return tags, float(scores_C.max(initial=0))


def _tag(word: str, kind: str, score: float) -> Tag:
    column = kind.removeprefix(SLICE_PREFIX) if kind.startswith(SLICE_PREFIX) else None
    return Tag(word, "slice" if column else kind, column, round(score, 4))


def nothing_fits(highest: float) -> str:
    """Why there is no tag, as a sentence."""
    return f"No word of the catalogue fits with a score of {FLOOR} or more; the highest is {highest:.2f}."


def fitted(features_PF: np.ndarray, right_P: np.ndarray) -> np.ndarray:
    """Weights of 1 and of each feature, by Newton's method; the ridge keeps them finite where a feature decides."""
    x_PG, y_P = _with_one(features_PF), right_P.astype(np.float64)
    weights_G = np.zeros(x_PG.shape[1])
    for _ in range(ROUNDS):
        score_P = probability(weights_G, features_PF)
        slope_G = x_PG.T @ (score_P - y_P) + RIDGE * weights_G
        bend_GG = (x_PG * (score_P * (1 - score_P))[:, None]).T @ x_PG + RIDGE * np.eye(len(weights_G))
        step_G = np.linalg.solve(bend_GG, slope_G)
        weights_G -= step_G * min(1.0, 5.0 / max(float(np.abs(step_G).max()), 1e-12))
        if np.abs(step_G).max() < 1e-8:
            break
    return weights_G


def probability(weights_G: np.ndarray, features_PF: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(_with_one(features_PF) @ weights_G, -30, 30)))


def reliability(scores_P: np.ndarray, right_P: np.ndarray) -> dict[str, Any]:
    """Expected calibration error over all proposals and over those of at least FLOOR, which are shown; of these the
    number, the mean score and the share that is right; both by bin of scores."""
    shown_P = scores_P >= FLOOR
    bin_P = np.minimum((scores_P * BINS).astype(int), BINS - 1)
    bins = [(bin_P == one) for one in range(BINS)]
    return {
        "proposed": len(scores_P),
        "error": _error(scores_P, right_P, bin_P),
        "shown": int(shown_P.sum()),
        "shown_error": _error(scores_P[shown_P], right_P[shown_P], bin_P[shown_P]),
        "shown_score": _mean(scores_P[shown_P]),
        "shown_right": _mean(right_P[shown_P]),
        "bins": [[int(one.sum()), _mean(scores_P[one]), _mean(right_P[one])] for one in bins],
    }


def _error(scores_P: np.ndarray, right_P: np.ndarray, bin_P: np.ndarray) -> float | None:
    if not len(scores_P):
        return None
    gaps = np.bincount(bin_P, scores_P - right_P, minlength=BINS)
    return round(float(np.abs(gaps).sum() / len(scores_P)), 4)


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def _with_one(features_PF: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(features_PF), 1)), features_PF], axis=1)
