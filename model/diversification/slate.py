"""What an order is worth, in figures a reader can hold against each other.

    utility             mean utility of the Pins shown: 1 the highest there could be, 0 that of all candidates
    window_similarity   mean likeness of a Pin to each of the `window` Pins before it: what a person sees at once
    list_similarity     mean likeness of two Pins of the list
    window_repeats      share of Pins whose semantic ID begins as that of a Pin in the window before; null without IDs
    prefixes            distinct beginnings of semantic IDs in the list; null without IDs

Shape legend: N candidates · T slots
"""

import numpy as np

from model.diversification.candidates import Candidates
from model.diversification.config import DiversificationConfig
from model.diversification.similarity import Similarity


def slate_figures(candidates: Candidates, order: np.ndarray, config: DiversificationConfig) -> dict[str, float | None]:
    """The figures above. A list of one Pin repeats nothing: its similarities are 0."""
    among_TT = Similarity.of(candidates, config).among(order)
    behind_TT = np.subtract.outer(np.arange(len(order)), np.arange(len(order)))
    seen_TT = (behind_TT > 0) & (behind_TT <= config.window)
    first_T = None if candidates.ids is None else candidates.ids[order, 0]
    return {
        "utility": _gained(np.asarray(candidates.utility, dtype=np.float64), order),
        "window_similarity": _mean(among_TT[seen_TT]),
        "list_similarity": _mean(among_TT[behind_TT > 0]),
        "window_repeats": None if first_T is None else _mean((np.equal.outer(first_T, first_T) & seen_TT).any(1)),
        "prefixes": None if first_T is None else len(np.unique(first_T)),
    }


def _gained(utility_N: np.ndarray, order: np.ndarray) -> float:
    least, most = utility_N.mean(), np.sort(utility_N)[-len(order) :].mean()
    return float((utility_N[order].mean() - least) / (most - least)) if most > least else 1.0


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
