"""Text and graph likeness of Pins from their catalogue alone: words in common, boards in common.

    signals = CatalogueSignal.words(catalogue)        # or .boards(catalogue)
    signals.vectors(pin_ids, least=2)                 # float32 (n, G) of length 1, zeros where nothing is known

A Pin's words are those of its texts, without regard to case. A word of n Pins counts log(N / n), a board of n Pins
n ** -0.5, so that large boards do not make everything alike. The sparse rows are projected to DIM dimensions by random
signs, which keeps cosines within about 1 / √DIM (Johnson & Lindenstrauss): a row of candidates stays short. What fewer
than `least` Pins have does not count: boards of fewer than prepare.min_board_pins Pins are personal.

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
from model.embedding.affine import unit_length

DIM = 128
BETWEEN_WORDS = r"[^\pL\pN]+"  # of RE2


@dataclass(frozen=True)
class CatalogueSignal:
    pins: PinRows
    found_NF: sp.csr_array  # 1 where the Pin has the word, or is on the board
    are_words: bool

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
        return CatalogueSignal(pins, found_NF, are_words=True)

    @staticmethod
    def boards(catalogue: Catalogue) -> "CatalogueSignal":
        """
        Raises:
            CatalogueError: see words().
        """
        pins, _ = PinRows.read(catalogue, [])
        if not catalogue.shards("boards"):
            return CatalogueSignal(pins, incidence(np.zeros(0, int), np.zeros(0, int), len(pins), 0), are_words=False)
        saved = read_table(catalogue, "boards", ["board_id", "pin_id"]).drop_null()
        coded = readable(saved["board_id"]).combine_chunks().dictionary_encode()
        row_P = pins.all_rows(saved["pin_id"])
        found_NF = incidence(row_P, coded.indices.to_numpy().astype(np.int64), len(pins), len(coded.dictionary))
        return CatalogueSignal(pins, found_NF, are_words=False)

    def without(self, forgotten: Forgotten) -> "CatalogueSignal":
        pins, kept = self.pins.without(forgotten)
        return CatalogueSignal(pins, self.found_NF[kept], self.are_words)

    def vectors(self, ids: Sequence[str], least: int) -> np.ndarray:
        return self.of_rows(self.pins.rows(ids), least)

    def of_rows(self, rows_n: np.ndarray, least: int) -> np.ndarray:
        """The same of Pins by their rows in `pins`, which all signals of a catalogue share; -1: not there."""
        known = np.flatnonzero(rows_n >= 0)
        own = self.found_NF[rows_n[known]]
        counts = self.counts_F[own.indices]
        weight = np.log(len(self.pins) / counts) if self.are_words else counts**-0.5
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
