"""Text and graph likeness of Pins from their catalogue alone: words in common, boards in common.

    signals = CatalogueSignal.words(catalogue)        # or .boards(catalogue)
    signals.vectors(pin_ids, least=2)                 # float32 (n, G) of length 1, zeros where nothing is known

A Pin's words are those of its texts, without regard to case. A word of n Pins counts log(N / n), a board of n Pins
n ** -0.5, so that large boards do not make everything alike. The sparse rows are projected to DIM dimensions by random
signs, which keeps cosines within about 1 / √DIM (Johnson & Lindenstrauss): a row of candidates stays short. What fewer
than `least` Pins have does not count: boards of fewer than prepare.min_board_pins Pins are personal. What users without
consent, unknown or forgotten saved is on no board.

Shape legend: N Pins · n of them · F words or boards · G dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from model.data.catalogue import TEXT_SIGNALS, Catalogue
from model.data.cleaning import readable
from model.data.forgotten import Forgotten
from model.data.pin_rows import PinRows, incidence
from model.data.reading import read_table
from model.data.users import usable_owners
from model.embedding.affine import unit_length

DIM = 128
BETWEEN_WORDS = r"[^\pL\pN]+"  # of RE2


@dataclass(frozen=True)
class CatalogueSignal:
    pins: PinRows
    found_NF: sp.csr_array  # 1 where the Pin has the word, or is on the board
    saved: pa.Table | None = None  # of boards: row, board (column of found_NF), user; None: these are words

    @staticmethod
    def words(catalogue: Catalogue) -> "CatalogueSignal":
        """
        Raises:
            CatalogueError: Parquet cannot read the catalogue, or it breaks its contract.
        """
        names = [name for name in TEXT_SIGNALS if name in catalogue.columns("pins")]
        pins, table = PinRows.read(catalogue, names)
        rows, words = [np.zeros(0, np.int64)], [pa.array([], pa.string())]
        for name in names:
            texts, row_N = readable(table[name].combine_chunks()), np.arange(len(pins))
            if pa.types.is_list(texts.type):
                texts, row_N = pc.list_flatten(texts), pc.list_parent_indices(texts).to_numpy()
            split = pc.split_pattern_regex(pc.fill_null(pc.utf8_lower(texts), ""), BETWEEN_WORDS)
            rows.append(row_N[pc.list_parent_indices(split).to_numpy()])
            words.append(pc.list_flatten(split))
        coded = pa.concat_arrays(words).dictionary_encode()
        row_P, word_P = np.concatenate(rows), coded.indices.to_numpy().astype(np.int64)
        there_P = pc.not_equal(coded, "").to_numpy(zero_copy_only=False)
        found_NF = incidence(row_P[there_P], word_P[there_P], len(pins), len(coded.dictionary))
        return CatalogueSignal(pins, found_NF)

    @staticmethod
    def boards(catalogue: Catalogue) -> "CatalogueSignal":
        """
        Raises:
            CatalogueError: see words().
        """
        pins, _ = PinRows.read(catalogue, [])
        rows = read_table(catalogue, "boards", ["board_id", "pin_id", "user_id"])
        users = usable_owners(catalogue, rows)
        there = pc.and_(pc.is_valid(users), pc.and_(pc.is_valid(rows["board_id"]), pc.is_valid(rows["pin_id"])))
        rows, users = rows.filter(there), users.filter(there)
        coded = readable(rows["board_id"].combine_chunks()).dictionary_encode()
        saved = pa.table({"row": pins.all_rows(rows["pin_id"]), "board": coded.indices, "user": users})
        return CatalogueSignal(pins, _on_boards(saved, len(pins), len(coded.dictionary)), saved)

    def without(self, forgotten: Forgotten) -> "CatalogueSignal":
        found_NF, saved = self.found_NF, self.saved
        if saved is not None and (gone := forgotten.mask_of_users(saved["user"])).true_count:
            saved = saved.filter(pc.invert(gone))
            found_NF = _on_boards(saved, *found_NF.shape)
        pins, kept = self.pins.without(forgotten)
        if saved is not None:
            place_N = np.full(len(self.pins) + 1, -1)  # the last: of a row of -1
            place_N[kept] = np.arange(len(kept))
            saved = saved.set_column(0, "row", pa.array(place_N[saved["row"].to_numpy()]))
        return CatalogueSignal(pins, found_NF[kept], saved)

    def vectors(self, ids: Sequence[str], least: int) -> np.ndarray:
        return self.of_rows(self.pins.rows(ids), least)

    def of_rows(self, rows_n: np.ndarray, least: int) -> np.ndarray:
        """The same of Pins by their rows in `pins`, which all signals of a catalogue share; -1: not there."""
        known = np.flatnonzero(rows_n >= 0)
        own = self.found_NF[rows_n[known]]
        counts = self.counts_F[own.indices]
        weight = np.log(len(self.pins) / counts) if self.saved is None else counts**-0.5
        own.data = np.where(counts >= least, weight, 0).astype(np.float32)
        vectors_nG = np.zeros((len(rows_n), DIM), dtype=np.float32)
        vectors_nG[known] = unit_length(own @ self.signs_FG)
        return vectors_nG

    @cached_property
    def counts_F(self) -> np.ndarray:
        return np.asarray(self.found_NF.sum(axis=0)).astype(np.float64).reshape(-1)

    @cached_property
    def signs_FG(self) -> np.ndarray:
        drawn = np.random.default_rng(0).integers(2, size=(self.found_NF.shape[1], DIM), dtype=np.int8)
        return (2 * drawn - 1).astype(np.float32)


def _on_boards(saved: pa.Table, pins: int, boards: int) -> sp.csr_array:
    return incidence(saved["row"].to_numpy(), saved["board"].to_numpy().astype(np.int64), pins, boards)
