"""Millions of (board, Pin) and (query, Pin) pairs: which are new, and how often each was clicked."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from model.catalogue import QUERIES, CatalogueWriter


class Seen:
    """A set of pairs of numbers, at 8 bytes each: sorted runs; two of about one length are merged."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def new(self, left: Sequence[int], right: Sequence[int]) -> np.ndarray:
        """Adds pairs; bool (N,): whether each was not there before, nor earlier among these."""
        pairs, first = np.unique(_pairs(left, right), return_index=True)
        known = np.zeros(len(pairs), dtype=bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, pairs), len(run) - 1)
            known |= run[at] == pairs
        is_new = np.zeros(len(left), dtype=bool)
        is_new[first[~known]] = True
        if not known.all():
            self._runs.append(pairs[~known])
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            self._runs[-2:] = [np.sort(np.concatenate(self._runs[-2:]))]
        return is_new


class QueryClicks:
    """Clicks summed by (query, pin_id); batches are summed first, so that millions of clicks stay small."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []

    def add(self, clicks: Mapping[tuple[str, str], int]) -> None:
        queries, pins = [query for query, _ in clicks], [pin_id for _, pin_id in clicks]
        self._parts.append(pa.table([queries, pins, list(clicks.values())], schema=QUERIES))

    def write(self, writer: CatalogueWriter) -> int:
        """Writes one row a (query, Pin), nearly in order of first appearance; returns how many."""
        if not self._parts:
            return 0
        # One thread: the same tables give the same order.
        grouped = pa.concat_tables(self._parts).group_by(["query", "pin_id"], use_threads=False)
        summed = grouped.aggregate([("clicks", "sum")]).rename_columns({"clicks_sum": "clicks"})
        writer.write("queries", summed.select(QUERIES.names))
        return summed.num_rows


def _pairs(left: Sequence[int], right: Sequence[int]) -> np.ndarray:
    return np.asarray(left, dtype=np.int64) << 32 | np.asarray(right, dtype=np.int64)
