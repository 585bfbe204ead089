"""Turns the samples of one look into drift measures: each has a value, its sure part and a limit.

drift_measures(samples, limits)    ->  [DriftMeasure("facts", "all", "brightness", 0.71, 0.63, 0.1, …), …]

Shape legend: B reference vectors · N vectors of now · E vector dimension · K canaries
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.drift.config import DriftLimits
from model.drift.facts import LABELS, NUMBERS
from model.drift.histograms import Histogram, of_labels, of_values
from model.drift.shifts import Shift, least_share, shift_of_labels, shift_of_values
from model.drift.vectors import lengths, lost_neighbours, shift_of_centroid

LEAST = 30  # Pins on either side; fewer say nothing


@dataclass(frozen=True)
class Samples:
    """What one look has seen. Scopes are "all", a sample of the catalogue, and "new", of the Pins that came since."""

    reference: pa.Table  # of model.drift.facts
    facts: Mapping[str, pa.Table]
    before_BE: np.ndarray  # vectors as stored, not brought to length 1
    now_NE: Mapping[str, np.ndarray]
    canaries_before_KE: np.ndarray
    canaries_now_KE: np.ndarray
    asked: int  # Pins that were looked for online
    without_vector: int
    pairs: int
    differing: Mapping[str, int]  # of the pairs, by feature
    newest_vector_hours: float


@dataclass(frozen=True)
class DriftMeasure:
    group: str  # facts, vectors, store
    scope: str  # all, new
    name: str
    value: float
    sure: float
    limit: float | None  # None: reported, not judged
    says: str
    histogram: Histogram | None = None

    @property
    def over(self) -> bool:
        return self.limit is not None and self.sure > self.limit

    @property
    def key(self) -> str:
        return f"{self.group}/{self.scope}/{self.name}"


def drift_measures(samples: Samples, limits: DriftLimits) -> list[DriftMeasure]:
    """All that can be measured; a fact that LEAST Pins of both samples do not have is left out."""
    measures = [one for scope in samples.facts for one in _facts(samples, scope, limits.max_shift)]
    measures += [one for scope in samples.now_NE for one in _vectors(samples, scope, limits)]
    if len(samples.canaries_before_KE) >= LEAST:
        lost = lost_neighbours(samples.canaries_before_KE, samples.canaries_now_KE)
        measures.append(_measure("vectors", "all", "lost_neighbours", lost, limits.max_lost_neighbours))
    return [*measures, *_store(samples, limits)]


def _facts(samples: Samples, scope: str, limit: float) -> Iterator[DriftMeasure]:
    for name in (*NUMBERS, *LABELS):
        if (scope, name) == ("new", "refused"):  # what training refused has no vector either: all of it looks new
            continue
        if name not in samples.reference.column_names:  # a space published before this fact was known
            continue
        before, now = (table[name].drop_null() for table in (samples.reference, samples.facts[scope]))
        if min(len(before), len(now)) < LEAST:
            continue
        if name in LABELS:
            words = before.to_pylist(), now.to_pylist()
            yield _measure("facts", scope, name, shift_of_labels(*words), limit, of_labels(*words))
        else:
            values = _floats(before), _floats(now)
            yield _measure("facts", scope, name, shift_of_values(*values), limit, of_values(*values))


def _vectors(samples: Samples, scope: str, limits: DriftLimits) -> Iterator[DriftMeasure]:
    before_BE, now_NE = samples.before_BE, samples.now_NE[scope]
    if min(len(before_BE), len(now_NE)) < LEAST:
        return
    yield _measure("vectors", scope, "centroid", shift_of_centroid(before_BE, now_NE), limits.max_centroid)
    sizes = lengths(before_BE), lengths(now_NE)
    yield _measure("vectors", scope, "length", shift_of_values(*sizes), limits.max_shift, of_values(*sizes))


def _store(samples: Samples, limits: DriftLimits) -> Iterator[DriftMeasure]:
    if samples.asked:
        share = _share(samples.without_vector, samples.asked, "Pins have none")
        yield _measure("store", "all", "without_vector", share, limits.max_without_vector)
    for feature, rows in samples.differing.items():
        share = _share(rows, samples.pairs, "rows differ")
        yield _measure("store", "all", f"skew/{feature}", share, limits.max_skew)
    hours = samples.newest_vector_hours
    age = Shift(hours, hours, f"{hours:,.1f} hours")
    yield _measure("store", "all", "newest_vector_hours", age, limits.max_age_hours or None)


def _share(hits: int, count: int, what: str) -> Shift:
    return Shift(hits / count, least_share(hits, count), f"{hits:,} of {count:,} {what}")


def _measure(
    group: str, scope: str, name: str, shift: Shift, limit: float | None, histogram: Histogram | None = None
) -> DriftMeasure:
    says = shift.says if shift.value else "as before"
    return DriftMeasure(group, scope, name, shift.value, shift.sure, limit, says, histogram)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return pc.cast(column, pa.float64()).to_numpy()
