"""How far a sample has moved from a reference, and how much of that is sure.

shift_of_values(before, now)     largest difference of the two distribution functions (Kolmogorov–Smirnov), in [0, 1]
shift_of_labels(before, now)     largest difference in the share of one label, in [0, 1]
least_share(hits, count)         the share that is surely reached (Clopper and Pearson 1934)

A sample's distribution function lies within sqrt(ln(2 / risk) / 2n) of the true one everywhere, but for that risk
(Dvoretzky–Kiefer–Wolfowitz with Massart's constant, Annals of Probability 1990). So the true functions of two samples
are at least as far apart as these, less both margins: whatever the distribution, however few the values, and also where
the two share Pins.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

# Of one sure part to be too large. With fifty measures an hour that is one in 2,000 hours, and it would have to pass
# its threshold besides.
RISK = 1e-5


@dataclass(frozen=True)
class Shift:
    """0 <= sure <= value; `says` tells where the two differ most, in words."""

    value: float
    sure: float
    says: str = ""


def shift_of_values(before: np.ndarray, now: np.ndarray) -> Shift:
    """Of two samples of numbers, none of them empty."""
    points = np.union1d(before, now)
    shares = [np.searchsorted(np.sort(sample), points, side="right") / len(sample) for sample in (before, now)]
    gaps = np.abs(shares[0] - shares[1])
    place = int(gaps.argmax())
    says = f"up to {points[place]:.4g}: {shares[1][place]:.1%} of Pins, {shares[0][place]:.1%} before"
    value = float(gaps[place])
    return Shift(value, max(0.0, value - margin(len(before)) - margin(len(now))), says)


def shift_of_labels(before: Sequence[str], now: Sequence[str]) -> Shift:
    """Of two samples of labels, none of them empty; `says` names the label that moved most."""
    counts = Counter(before), Counter(now)
    labels = sorted({*before, *now})
    risk = RISK / (4 * len(labels))  # two ends of two shares for each
    shares = {label: [count[label] / count.total() for count in counts] for label in labels}
    sure = 0.0
    for label in labels:
        (low, high), (low_now, high_now) = (_ends(count[label], count.total(), risk) for count in counts)
        sure = max(sure, low_now - high, low - high_now)
    most = max(labels, key=lambda label: abs(shares[label][0] - shares[label][1]))
    says = f"{most}: {shares[most][1]:.1%} of Pins, {shares[most][0]:.1%} before"
    return Shift(abs(shares[most][0] - shares[most][1]), sure, says)


def margin(count: int) -> float:
    """How far the distribution function of `count` values may lie from the true one."""
    return math.sqrt(math.log(4 / RISK) / (2 * count))  # half of the risk for each of two samples


def least_share(hits: int, count: int, risk: float = RISK) -> float:
    return float(stats.beta.ppf(risk, hits, count - hits + 1)) if hits else 0.0


def _ends(hits: int, count: int, risk: float) -> tuple[float, float]:
    """The two ends between which the share surely lies."""
    return least_share(hits, count, risk), 1 - least_share(count - hits, count, risk)
