"""The words that a catalogue uses for its Pins: values of slices, annotations, queries that led to them.

    words = PinWords.read(catalogue)
    words.without(forgotten)       # their Pins and the words of nobody else are gone

A Pin without consent gives no word. How many Pins must have a word to be shown is the caller's to say (counts_T), and
how many users where it is a title of their boards and nobody's search (users_T).
Shape legend: N Pins · T words, of all kinds · P pairs of a Pin and a word
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from model.data.board_titles import OwnTitles
from model.data.catalogue import SLICE_PREFIX, Catalogue
from model.data.cleaning import clean_column, clean_queries, clean_query
from model.data.forgotten import Forgotten
from model.data.pin_rows import PinRows, incidence
from model.data.reading import read_table

MANY = np.iinfo(np.int64).max  # users of a word that is no title of theirs
ANNOTATION, QUERY = "annotation", "query"  # kinds beside the columns of slices, `slice_<name>`
Pairs = tuple[str, np.ndarray, pa.Array | pa.ChunkedArray]  # kind, rows of Pins, their words


@dataclass(frozen=True)
class PinWords:
    pins: PinRows
    carried_NT: sp.csr_array  # float32, 1 where the Pin has the word
    words: pa.StringArray  # (T,)
    kinds: pa.StringArray  # (T,)
    titles: OwnTitles = field(default_factory=OwnTitles)

    @staticmethod
    def read(catalogue: Catalogue) -> "PinWords":
        """
        Raises:
            CatalogueError: Parquet cannot read the catalogue, or it breaks its contract.
        """
        names = [name for name in catalogue.columns("pins") if name == "annotations" or name.startswith(SLICE_PREFIX)]
        pins, table = PinRows.read(catalogue, names)
        coded = [_coded(*pairs) for pairs in (*_of_pins(table, names), *_of_queries(pins, catalogue))]
        words = pa.concat_arrays([pa.array([], pa.string()), *(own for _, _, _, own in coded)])
        kinds = pa.array([kind for kind, _, _, own in coded for _ in range(len(own))], pa.string())
        starts = np.cumsum([0, *(len(own) for _, _, _, own in coded)])
        row_P = np.concatenate([np.zeros(0, np.int64), *(rows for _, rows, _, _ in coded)])
        numbers = (start + word for start, (_, _, word, _) in zip(starts, coded, strict=False))
        return PinWords(
            pins,
            incidence(row_P, np.concatenate([np.zeros(0, np.int64), *numbers]), len(pins), len(words)),
            words,
            kinds,
            OwnTitles.read(catalogue),
        )

    @cached_property
    def counts_T(self) -> np.ndarray:
        """How many Pins have the word."""
        return np.asarray(self.carried_NT.sum(axis=0)).astype(np.int64).reshape(-1)

    @cached_property
    def users_T(self) -> np.ndarray:
        """How many users have the word as a title of a board; MANY where it is more than that."""
        users_T = np.full(len(self.words), MANY)
        found: dict[str, int] = {}
        for title, count in self.titles.users.items():
            found[clean_query(title)] = max(count, found.get(clean_query(title), 0))
        asked_T = np.flatnonzero(pc.equal(self.kinds, QUERY).to_numpy(zero_copy_only=False))
        place = pc.index_in(self.words.take(pa.array(asked_T)), value_set=pa.array(list(found), pa.string()))
        known = pc.is_valid(place).to_numpy(zero_copy_only=False)
        users_T[asked_T[known]] = np.array(list(found.values()), dtype=np.int64)[place.drop_null().to_numpy()]
        return users_T

    def without(self, forgotten: Forgotten) -> "PinWords":
        pins, kept = self.pins.without(forgotten)
        return PinWords(pins, self.carried_NT[kept], self.words, self.kinds, self.titles.without(forgotten))


def _of_pins(table: pa.Table, names: list[str]) -> Iterator[Pairs]:
    for name in names:
        if name == "annotations":
            lists = table[name].combine_chunks()
            yield ANNOTATION, pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
        else:
            yield name, np.arange(table.num_rows), table[name]


def _of_queries(pins: PinRows, catalogue: Catalogue) -> Iterator[Pairs]:
    if catalogue.shards("queries"):
        asked = read_table(catalogue, "queries", ["query", "pin_id", "clicks"])
        asked = asked.filter(pc.greater(pc.fill_null(asked["clicks"], 1), 0))
        yield QUERY, pins.all_rows(asked["pin_id"]), asked["query"]


def _coded(
    kind: str, row_P: np.ndarray, words: pa.Array | pa.ChunkedArray
) -> tuple[str, np.ndarray, np.ndarray, pa.StringArray]:
    """(kind, row of every pair, word of every pair, the distinct words), cleaned as prepare cleans them."""
    words = words.combine_chunks() if isinstance(words, pa.ChunkedArray) else words
    coded = words.dictionary_encode()
    cleaned = (clean_queries if kind == QUERY else clean_column)(coded.dictionary).dictionary_encode()
    word_P = pc.fill_null(cleaned.indices.take(coded.indices), -1).to_numpy().astype(np.int64)
    return kind, row_P[word_P >= 0].astype(np.int64), word_P[word_P >= 0], cleaned.dictionary
