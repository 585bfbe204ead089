"""The consented Pins of a catalogue that nobody has prepared, in the order of their ids, so that one is found quickly.

    pins, table = PinRows.read(catalogue, ["title"])     # a row of the table for each
    pins.rows(["p1", "p2"])                              # where they stand; -1: not there

Of rows that share an id the first counts, as prepare has it. Shape legend: N Pins · P pairs · F features
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten
from model.data.preparation import withheld
from model.data.reading import read_table


@dataclass(frozen=True)
class PinRows:
    ids: pa.LargeStringArray  # (N,), rising

    @staticmethod
    def read(catalogue: Catalogue, columns: Sequence[str]) -> "tuple[PinRows, pa.Table]":
        """
        Raises:
            CatalogueError: Parquet cannot read the catalogue, or it breaks its contract.
        """
        table = read_table(catalogue, "pins", ["pin_id", *columns])
        table = table.filter(pc.is_valid(table["pin_id"]))
        ids = table["pin_id"].combine_chunks()
        first = np.sort(np.unique(ids.dictionary_encode().indices, return_index=True)[1])
        table = table.take(first).filter(pc.invert(pc.is_in(ids.take(first), value_set=withheld(catalogue))))
        table = table.take(pc.sort_indices(table["pin_id"])).combine_chunks()
        return PinRows(table["pin_id"].combine_chunks().cast(pa.large_string())), table

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """int64: where these few Pins stand; -1 for one that is not there."""
        hashes_N, order_N = self._by_hash
        if not len(order_N):
            return np.full(len(ids), -1)
        places = np.searchsorted(hashes_N, _hashes(ids))
        rows = order_N[np.minimum(places, len(order_N) - 1)]
        held = self.ids.take(pa.array(rows)).to_pylist()
        return np.array(
            [row if one == asked else -1 for row, one, asked in zip(rows, held, ids, strict=True)], np.int64
        )

    @cached_property
    def _by_hash(self) -> tuple[np.ndarray, np.ndarray]:
        """(rising hashes of the ids, their rows): 16 bytes a Pin, where a dictionary has more than a hundred."""
        hashes_N = _hashes(self.ids.to_pylist())
        order_N = np.argsort(hashes_N)
        return hashes_N[order_N], order_N

    def all_rows(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """The same of as many Pins as there are."""
        found = pc.index_in(ids.cast(pa.large_string()), value_set=self.ids)
        return pc.fill_null(found, -1).to_numpy().astype(np.int64)

    def without(self, forgotten: Forgotten) -> "tuple[PinRows, np.ndarray]":
        """(the Pins that are left, the rows that they had)"""
        kept = np.flatnonzero(~forgotten.mask(self.ids).to_numpy(zero_copy_only=False))
        return PinRows(self.ids.take(pa.array(kept))), kept


def _hashes(ids: Sequence[str]) -> np.ndarray:
    """int64, of this process alone."""
    return np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids))


def incidence(row_P: np.ndarray, feature_P: np.ndarray, rows: int, features: int) -> sp.csr_array:
    """float32 (N, F): 1 where a pair says, however often, that the Pin has the feature; a row of -1 is nobody's."""
    there_P = row_P >= 0
    pairs = (row_P[there_P], feature_P[there_P])
    found_NF = sp.csr_array(sp.coo_array((np.ones(len(pairs[0]), np.float32), pairs), shape=(rows, features)))
    found_NF.sum_duplicates()
    found_NF.data[:] = 1
    return found_NF
