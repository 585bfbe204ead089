"""How far Pin vectors have moved: their centroid, their lengths as stored, the neighbours of Pins that are known.

Shape legend: B vectors of the reference · N vectors of now · E vector dimension · K canaries
"""

import math

import numpy as np

from model.drift.shifts import RISK, Shift
from model.embedding.retrieval import top_k

NEIGHBOURS = 10


def shift_of_centroid(before_BE: np.ndarray, now_NE: np.ndarray) -> Shift:
    """Cosine distance of the two means, in [0, 2]; the sure part is the angle that the spread of the two means cannot
    explain."""
    means = [x.mean(axis=0, dtype=np.float64) for x in (before_BE, now_NE)]
    angle = _angle(*means)
    unsure = sum(_unsure(x, mean) for x, mean in zip((before_BE, now_NE), means, strict=True))
    return Shift(1 - math.cos(angle), 1 - math.cos(max(0.0, angle - unsure)), f"{math.degrees(angle):.1f}° apart")


def lost_neighbours(before_KE: np.ndarray, now_KE: np.ndarray) -> Shift:
    """Share of each canary's ten nearest canaries that have changed; row k is the same Pin in both.

    Sure by Hoeffding's inequality over the canaries.
    """
    k = min(NEIGHBOURS, len(before_KE) - 1)
    own = list(np.arange(len(before_KE))[:, None])
    found = [top_k(x, x, k, own)[0] for x in (before_KE, now_KE)]
    kept_K = np.array([len(np.intersect1d(*both)) for both in zip(*found, strict=True)]) / k
    value = float(1 - kept_K.mean())
    unsure = math.sqrt(math.log(1 / RISK) / (2 * len(kept_K)))
    return Shift(value, max(0.0, value - unsure), f"{kept_K.mean():.1%} of the nearest {k} are the same")


def lengths(x_NE: np.ndarray) -> np.ndarray:
    """(N,): lengths of stored vectors before they are normalised; clipped vectors are shorter.

    Rounded to four digits: smaller differences are rounding errors, not drift.
    """
    return np.linalg.norm(x_NE.astype(np.float64), axis=1).round(4)


def _angle(one_E: np.ndarray, other_E: np.ndarray) -> float:
    """In [0, pi], by the half angle's tangent, which is exact where the two are near; 0 where one has no direction."""
    sizes = np.linalg.norm(one_E), np.linalg.norm(other_E)
    if not min(sizes):
        return 0.0
    a_E, b_E = one_E / sizes[0], other_E / sizes[1]
    return float(2 * math.atan2(np.linalg.norm(a_E - b_E), np.linalg.norm(a_E + b_E)))


def _unsure(x_NE: np.ndarray, mean_E: np.ndarray) -> float:
    """The angle that the sample's mean may lie off the true one.

    A Gaussian of covariance S / n is longer than sqrt(tr S / n) + t with a chance of at most exp(-t² n / 2 λ), λ the
    largest eigenvalue of S (Borell–TIS); a mean of hundreds is as good as Gaussian.
    """
    spread_EE = np.atleast_2d(np.cov(x_NE, rowvar=False, dtype=np.float64))
    largest = max(0.0, float(np.linalg.eigvalsh(spread_EE)[-1]))
    off = math.sqrt(np.trace(spread_EE) / len(x_NE)) + math.sqrt(2 * largest * math.log(2 / RISK) / len(x_NE))
    size = float(np.linalg.norm(mean_E))
    return math.asin(off / size) if off < size else math.pi
