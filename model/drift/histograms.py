"""Two samples as shares of the same bins: what a measure has seen, to be looked at."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS, TAIL = 24, 0.005  # the share at either end that goes into the outer bins
BARS = 6  # labels shown


@dataclass(frozen=True)
class Histogram:
    """`names` are the labels, or the ends of the range; `before` and `now` add up to 1 or, of labels, to less."""

    names: list[str]
    before: list[float]
    now: list[float]
    of_labels: bool


def of_values(before: np.ndarray, now: np.ndarray) -> Histogram:
    both = np.concatenate([before, now])
    ends = np.quantile(before, [TAIL, 1 - TAIL]), np.quantile(now, [TAIL, 1 - TAIL])
    start, stop = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    if stop <= start:
        start, stop = start - 0.5, start + 0.5
    shares = [np.histogram(x.clip(start, stop), BINS, (start, stop))[0] / len(x) for x in (before, now)]
    names = [f"{end:.3g}" if np.abs(both).max() < 10 else f"{end:,.0f}" for end in (start, stop)]
    return Histogram(names, shares[0].tolist(), shares[1].tolist(), False)


def of_labels(before: Sequence[str], now: Sequence[str]) -> Histogram:
    """The most frequent labels of the two together."""
    counts = Counter(before), Counter(now)
    share = {name: [count[name] / max(count.total(), 1) for count in counts] for name in counts[0] | counts[1]}
    names = sorted(share, key=lambda name: (-sum(share[name]), name))[:BARS]
    return Histogram(names, [share[name][0] for name in names], [share[name][1] for name in names], True)
