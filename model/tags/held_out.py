"""Held-out Pins with the words that their nearest Pins propose, right and wrong; and the calibration that they teach.

The variants of a Pin (its group) are no neighbours of it, nor do they count among the Pins that have a word: a picture
from elsewhere has none. Shape legend: H held-out Pins · N Pins of the space · P proposals · F features · E vector
dimension
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from model.embedding.held_out import MODES, HeldOut
from model.embedding.retrieval import top_k_of_blocks
from model.graph.splits import uniform_hash
from model.tags.calibration import ENOUGH, TagCalibration, fitted, reliability
from model.tags.evidence import NEIGHBOURS, proposals
from model.tags.vocabulary import PinWords

Blocks = Callable[[], Iterable[np.ndarray]]  # the vectors of the space, part by part


@dataclass(frozen=True)
class Judged:
    """Proposals for held-out Pins."""

    features_PF: np.ndarray
    kinds_P: np.ndarray  # str
    right_P: np.ndarray  # bool: the Pin has the word
    teaches_P: np.ndarray  # bool: of the half of the Pins that weights are fitted on

    def where(self, mask_P: np.ndarray) -> "Judged":
        return Judged(self.features_PF[mask_P], self.kinds_P[mask_P], self.right_P[mask_P], self.teaches_P[mask_P])


def judged(
    held_out: HeldOut, words: PinWords, ids: pa.Array, groups: Mapping[str, str], blocks: Blocks
) -> dict[str, Judged]:
    """By what is given, the proposals for the held-out Pins.

    Args:
        ids: of the vectors in `blocks`, in their order.
        groups: of every Pin (model.graph.splits.group_names); a Pin that is not there is no neighbour.
    """
    rows_N = words.pins.all_rows(ids)
    names_N = [groups.get(pin_id, "") for pin_id in ids.to_pylist()]
    members: dict[str, list[int]] = {}
    for place, name in enumerate(names_N):
        members.setdefault(name, []).append(place)
    own = [groups.get(pin_id) for pin_id in held_out.ids.to_pylist()]
    teaches_H = uniform_hash([name or "" for name in own], "tags") < 0.5
    rows_H = words.pins.all_rows(held_out.ids)
    found = {}
    for mode in MODES:
        vectors_HE = held_out.vectors[mode]
        asking = [h for h, name in enumerate(own) if name is not None and rows_H[h] >= 0 and vectors_HE[h].any()]
        excluded = [np.array(members.get(own[h] or "", []), dtype=np.int64) for h in asking]
        near, cosines = top_k_of_blocks(vectors_HE[asking], blocks(), NEIGHBOURS, excluded)
        near = np.where(near >= 0, rows_N[near], -1)
        parts = [
            _of_one(words, row, near[q], cosines[q], rows_N[excluded[q]], held_out.min_board_pins)
            for q, row in enumerate(rows_H[asking])
        ]
        found[mode] = _together(parts, teaches_H[asking])
    return found


def calibrated(found: Mapping[str, Judged], min_board_pins: int) -> TagCalibration:
    """Fitted on one half of the Pins; figures by what is given over the proposals for the other half."""
    weights: dict[str, dict[str, list[float]]] = {mode: {} for mode in found}
    for mode, all_of in found.items():
        for kind in np.unique(all_of.kinds_P):
            taught = all_of.where((all_of.kinds_P == kind) & all_of.teaches_P)
            if ENOUGH <= taught.right_P.sum() < len(taught.right_P):
                weights[mode][str(kind)] = fitted(taught.features_PF, taught.right_P).tolist()
    bare = TagCalibration(weights, min_board_pins, {})
    figures = {mode: _figures(bare, mode, one.where(~one.teaches_P)) for mode, one in found.items()}
    return TagCalibration(weights, min_board_pins, figures)


def _figures(calibration: TagCalibration, mode: str, asked: Judged) -> dict[str, object]:
    known = asked.where(np.isin(asked.kinds_P, list(calibration.weights[mode])))
    return reliability(calibration.scores(mode, known.kinds_P.tolist(), known.features_PF), known.right_P)


def _of_one(
    words: PinWords, row: int, near_K: np.ndarray, cosines_K: np.ndarray, group: np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, kinds, right) of the proposals for one Pin."""
    own = group[group >= 0]
    counts_T = words.counts_T - np.asarray(words.carried_NT[own].sum(axis=0)).astype(np.int64).reshape(-1)
    there = np.isfinite(cosines_K)
    found = proposals(near_K[there], cosines_K[there], words.carried_NT, counts_T, words.users_T, least)
    right = np.isin(found.words_C, words.carried_NT[[row]].indices)
    return found.features_CF, np.array(words.kinds.take(found.words_C).to_pylist(), dtype=object), right


def _together(parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], teaches_H: np.ndarray) -> Judged:
    sizes = [len(right) for _, _, right in parts]
    empty = (np.zeros((0, 4)), np.zeros(0, dtype=object), np.zeros(0, dtype=bool))
    features, kinds, right = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
    return Judged(features, kinds.astype(str), right, np.repeat(teaches_H, sizes))
