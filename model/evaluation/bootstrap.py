"""95 % intervals of what was measured on queries, by bootstrap over the groups that ask (Efron 1979, percentiles).

Recall@10 of one query is a share, no yes or no, so no binomial interval fits; and Pins of one group are variants of
one thing, whose queries succeed and fail together. So whole groups are drawn anew, DRAWS times.

Shape legend: Q queries · S figures measured at once · C groups · D draws
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp

DRAWS, CONFIDENCE = 1_000, 0.95


@dataclass(frozen=True)
class Bootstrap:
    """How often each group was drawn; the same draws for all figures, so that figures can be compared draw by draw."""

    group_Q: np.ndarray  # number of each query's group
    times_DC: np.ndarray

    @staticmethod
    def over(groups_Q: np.ndarray, seed: int) -> "Bootstrap":
        _, group_Q = np.unique(groups_Q, return_inverse=True)
        return Bootstrap(group_Q, _times(int(group_Q.max(initial=-1)) + 1, seed))

    def ratios(self, above_QS: np.ndarray, below_QS: np.ndarray) -> np.ndarray:
        """(D, S): sum of `above` over sum of `below` in each draw; NaN where nothing of `below` was drawn."""
        times_DC = self.times_DC.astype(np.float64)
        above_DS, below_DS = (times_DC @ self._by_group(x_QS) for x_QS in (above_QS, below_QS))
        return np.divide(above_DS, below_DS, out=np.full_like(above_DS, np.nan), where=below_DS > 0)

    def _by_group(self, x_QS: np.ndarray) -> np.ndarray:
        place = (self.group_Q, np.arange(len(self.group_Q)))
        shape = (self.times_DC.shape[1], len(self.group_Q))
        return sp.csr_matrix((np.ones(len(self.group_Q)), place), shape=shape) @ x_QS


@lru_cache(maxsize=8)  # the figures of a task ask for the same draws as its slices
def _times(count: int, seed: int) -> np.ndarray:
    """Whole numbers (D, C), in the fewest bytes that hold them, read-only."""
    times_DC = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / max(count, 1)), DRAWS)
    times_DC = times_DC.astype(np.min_scalar_type(times_DC.max(initial=0)))
    times_DC.flags.writeable = False
    return times_DC


def ends(figures_D: np.ndarray) -> tuple[float, float] | None:
    """Low and high end of the interval; None where no draw had anything to measure."""
    drawn = figures_D[~np.isnan(figures_D)]
    if not len(drawn):
        return None
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
