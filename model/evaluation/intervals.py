"""Means with their 95 % intervals over seeds, by Student's t: what a few repeated trainings let one say.

interval([0.30, 0.32, 0.34])          ->  Interval(mean=0.32, half=0.0497)        0.320 ± 0.050
gain([0.30, 0.32], over=[0.20, 0.20])  ->  mean of +50 % and +60 %, with its interval
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """mean ± half; `half` is None for a single value, which says nothing about its spread."""

    mean: float
    half: float | None

    def text(self, form: str = ".3f") -> str:
        """0.320 ± 0.050, each number in the given format."""
        spread = "" if self.half is None else f" ± {format(self.half, form).lstrip('+')}"
        return f"{format(self.mean, form)}{spread}"


def interval(values: Sequence[float]) -> Interval:
    """The mean of independent values and half the width of its 95 % t-interval: t * s / sqrt(n)."""
    count = len(values)
    if count < 2:
        return Interval(float(values[0]), None)
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    return Interval(float(np.mean(values)), t * float(np.std(values, ddof=1)) / math.sqrt(count))


def gain(ours: Sequence[float], over: Sequence[float]) -> Interval | None:
    """The relative gain of `ours` over values paired with them (the same seed, in the same order), as a share.

    The gain of each pair is one value of the interval. None where something paired is 0: nothing to be relative to.
    """
    pairs = list(zip(ours, over, strict=True))
    if not all(theirs for _, theirs in pairs):
        return None
    return interval([mine / theirs - 1 for mine, theirs in pairs])
