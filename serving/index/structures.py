"""The faiss structures of an index: the codes of all rows, and a finder that proposes candidates for a query.

    exact   the vectors as float32, all of them compared                        + 4 E bytes a row
    hnsw    a graph over the codes (Malkov and Yashunin, arXiv 1603.09320)      + about 8 · links bytes
    ivf     the codes once more, in lists around centroids                      + E + 8 bytes

HNSW and IVF measure Euclidean distance between codes, which does not see the zero point. It sees that rounding changed
the vectors' lengths, little beside a vector that is near and more beside one that is far from all, as searches in words
are. Queries are rounded as well, for faiss compares bytes with bytes. So serving/index/base.py ranks what was proposed
by the exact cosine of the query as it came.
faiss holds an int8 code as a byte that is 128 larger. A memory-mapped structure can't grow: faiss ends the process if
one tries, so add() belongs to a structure that was just built, or to owned().

Shape legend: N rows · Q queries · C candidates · E vector dimension
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import isqrt
from pathlib import Path
from typing import ClassVar, Self

import faiss
import numpy as np

from model.embedding.affine import Affine
from serving.index.config import IndexConfig

BLOCK = 65_536  # rows that are float32 at once while they are added
TRAINING, LEAST = 64, 40  # rows a centroid learns from; rows a list holds on average
CODE = faiss.ScalarQuantizer.QT_8bit_direct_signed
CODES_FILE, FINDER_FILE = "codes.faiss", "finder.faiss"


class Structure(ABC):
    """codes: every row's code, by row; finder: what proposes rows."""

    write_flags: ClassVar[int] = 0

    def __init__(self, codes: faiss.IndexScalarQuantizer, finder: faiss.Index, affine: Affine) -> None:
        self.codes, self.finder, self.affine = codes, finder, affine
        self._bytes_NE = faiss.rev_swig_ptr(codes.codes.data(), codes.ntotal * affine.dim).reshape(-1, affine.dim)

    @classmethod
    def build(cls, codes_NE: np.ndarray, affine: Affine, config: IndexConfig) -> Self:
        structure = cls.empty(codes_NE, affine, config)
        return structure.added(codes_NE)

    @classmethod
    @abstractmethod
    def empty(cls, codes_NE: np.ndarray, affine: Affine, config: IndexConfig) -> Self:
        """A structure without rows that is trained on codes_NE where its kind needs it."""

    @abstractmethod
    def candidates(
        self, queries_QE: np.ndarray, count: int, effort: int, selector: faiss.IDSelector | None
    ) -> np.ndarray:
        """int64 (Q, count): rows that the selector lets through; -1 where there are no more. Queries of length 1."""

    def scanned(self, queries_QE: np.ndarray, count: int, selector: faiss.IDSelector) -> np.ndarray:
        """As candidates(), by comparing every row that the selector lets through: for a few rows nothing is quicker."""
        parameters = faiss.SearchParameters(sel=selector)
        return self.codes.search(self._as_codes(queries_QE), count, params=parameters)[1]

    def added(self, codes_NE: np.ndarray) -> Self:
        """This structure, grown by codes_NE; use the answer, not the old one."""
        for block_nE in _blocks(codes_NE):
            self.codes.add(block_nE.astype(np.float32))
            self._add_to_finder(block_nE)
        return type(self)(self.codes, self.finder, self.affine)

    def owned(self) -> Self:
        """A copy in memory of its own."""
        return type(self)(_copied(self.codes), _copied(self.finder), self.affine)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """int8 codes (…, E) of rows (…)."""
        return (self._bytes_NE[rows] ^ np.uint8(0x80)).view(np.int8)

    def __len__(self) -> int:
        return int(self.codes.ntotal)

    def write(self, folder: Path) -> None:
        faiss.write_index(self.codes, str(folder / CODES_FILE))
        faiss.write_index(self.finder, str(folder / FINDER_FILE), self.write_flags)

    @classmethod
    def read(cls, folder: Path, affine: Affine) -> Self:
        """Memory-mapped: pages are read when a search needs them, and shared by processes."""
        codes = faiss.read_index(str(folder / CODES_FILE), faiss.IO_FLAG_MMAP_IFC)
        return cls(codes, faiss.read_index(str(folder / FINDER_FILE), faiss.IO_FLAG_MMAP_IFC), affine)

    def _add_to_finder(self, codes_nE: np.ndarray) -> None:
        self.finder.add(codes_nE.astype(np.float32))

    def _as_codes(self, queries_QE: np.ndarray) -> np.ndarray:
        """float32 (Q, E), rounded and clipped: where faiss compares bytes, a number above 127 would wrap round."""
        return self.affine.quantize(queries_QE).astype(np.float32)


class Exact(Structure):
    @classmethod
    def empty(cls, codes_NE: np.ndarray, affine: Affine, config: IndexConfig) -> Self:
        return cls(_no_codes(affine), faiss.IndexFlatIP(affine.dim), affine)

    def candidates(
        self, queries_QE: np.ndarray, count: int, effort: int, selector: faiss.IDSelector | None
    ) -> np.ndarray:
        parameters = faiss.SearchParameters(sel=selector) if selector else None
        return self.finder.search(queries_QE, count, params=parameters)[1]

    def scanned(self, queries_QE: np.ndarray, count: int, selector: faiss.IDSelector) -> np.ndarray:
        return self.candidates(queries_QE, count, 0, selector)  # by the vectors, not by their codes

    def _add_to_finder(self, codes_nE: np.ndarray) -> None:
        self.finder.add(self.affine.vectors(codes_nE))


class Hnsw(Structure):
    """The graph's own vectors are `codes`: stored once, attached again when it is read."""

    write_flags = faiss.IO_FLAG_SKIP_STORAGE

    def __init__(self, codes: faiss.IndexScalarQuantizer, finder: faiss.IndexHNSW, affine: Affine) -> None:
        # Assigned from Python, the storage belongs to nobody: the graph owns and frees it.
        finder.storage, finder.own_fields = codes, True
        super().__init__(codes, finder, affine)

    @classmethod
    def empty(cls, codes_NE: np.ndarray, affine: Affine, config: IndexConfig) -> Self:
        codes = _no_codes(affine)
        graph = faiss.IndexHNSW(codes, config.links)
        graph.hnsw.efConstruction = config.build_depth
        return cls(codes, graph, affine)

    def candidates(
        self, queries_QE: np.ndarray, count: int, effort: int, selector: faiss.IDSelector | None
    ) -> np.ndarray:
        parameters = faiss.SearchParametersHNSW(efSearch=max(effort, count), sel=selector)
        return self.finder.search(self._as_codes(queries_QE), count, params=parameters)[1]

    def added(self, codes_NE: np.ndarray) -> Self:
        for block_nE in _blocks(codes_NE):
            self.finder.add(block_nE.astype(np.float32))  # and to its storage, the codes
        return type(self)(self.codes, self.finder, self.affine)

    def owned(self) -> Self:
        graph = _copied(self.finder)  # with its storage
        return type(self)(faiss.downcast_index(graph.storage), graph, self.affine)


class Ivf(Structure):
    @classmethod
    def empty(cls, codes_NE: np.ndarray, affine: Affine, config: IndexConfig) -> Self:
        lists = max(1, min(config.lists or 4 * isqrt(len(codes_NE)), len(codes_NE) // LEAST))
        centroids = faiss.IndexFlatL2(affine.dim)
        finder = faiss.IndexIVFScalarQuantizer(centroids, affine.dim, lists, CODE, faiss.METRIC_L2, False)
        finder.cp.seed, finder.cp.min_points_per_centroid = config.seed, 1  # of a few Pins faiss would complain
        size = min(len(codes_NE), TRAINING * lists)
        sample = np.random.default_rng(config.seed).choice(len(codes_NE), size=size, replace=False)
        finder.train(codes_NE[sample].astype(np.float32))
        return cls(_no_codes(affine), finder, affine)

    def candidates(
        self, queries_QE: np.ndarray, count: int, effort: int, selector: faiss.IDSelector | None
    ) -> np.ndarray:
        parameters = faiss.SearchParametersIVF(nprobe=min(effort, self.finder.nlist), sel=selector)
        return self.finder.search(self._as_codes(queries_QE), count, params=parameters)[1]


STRUCTURES: dict[str, type[Structure]] = {"exact": Exact, "hnsw": Hnsw, "ivf": Ivf}


def _no_codes(affine: Affine) -> faiss.IndexScalarQuantizer:
    return faiss.IndexScalarQuantizer(affine.dim, CODE, faiss.METRIC_L2)


def _copied(index: faiss.Index) -> faiss.Index:
    return faiss.deserialize_index(faiss.serialize_index(index))


def _blocks(codes_NE: np.ndarray) -> Iterator[np.ndarray]:
    return (codes_NE[start : start + BLOCK] for start in range(0, len(codes_NE), BLOCK))
