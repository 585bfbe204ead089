"""Pins and words ask an index of trained vectors, with filters and without: recall@10 and queries/s of one core.

    python benchmarks/index_questions.py --run runs/latest                       # 1,000,000 Pins; minutes
    python benchmarks/index_questions.py --run runs/latest --vectors 50000       # to see that it works
    python benchmarks/index_questions.py --run /tmp/million/1000000 --vectors 900000   # of benchmarks/million.py

The vectors are those of a run ("own"). Where it has fewer than --vectors + --queries + 5,000 they are made more
("grown"): each new one is a mix, weights drawn at random, of a vector and its eight nearest, of length 1. So Pins lie
where trained Pins lie, and searches where trained searches lie, which is not where Pins are. Those that ask are not in
the index. A filter lets a share of the Pins through, drawn at random (as consent is), or those that lie on one side (as
a category does): then most who ask stand far from all that fits. `prefix` searches the first 64 dimensions of every
vector and ranks a hundred candidates by the whole.

recall@10 is against all cosines of the Pins that fit. queries/s: one by one, a core second, of one thread.
Shape legend: N Pins · Q queries · E vector dimension · K results
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
from measure import peak_bytes

from model.embedding.affine import Affine, unit_length
from model.embedding.quantization import calibrate
from model.embedding.retrieval import top_k, top_k_of_blocks
from model.embedding.stored import read_queries, read_vectors
from serving.index import IndexConfig, PinIndex
from serving.rows import VectorRows, as_ids

K, MIXED, BLOCK, PREFIX, RERANKED, CALIBRATION = 10, 8, 65_536, 64, 100, 5_000
SHARES = (0.5, 0.1, 0.01)
WIDTHS = "{:<8}{:<18}{:>8}{:>11}{:>13}"
Search = Callable[[np.ndarray], np.ndarray]  # (Q, E) -> rows (Q, K)


class Grown:
    """sample(n): float32 (n, E), mixes of a vector and its nearest."""

    def __init__(self, x_NE: np.ndarray, seed: int) -> None:
        self.x_NE, self.rng = unit_length(x_NE), np.random.default_rng(seed)
        self.near_NM = top_k(self.x_NE, self.x_NE, min(MIXED + 1, len(x_NE)))[0]

    def sample(self, n: int) -> np.ndarray:
        near_nM = self.near_NM[self.rng.integers(len(self.x_NE), size=n)]
        weights_nM = self.rng.dirichlet(np.ones(near_nM.shape[1]), size=n).astype(np.float32)
        return unit_length(np.einsum("nm,nme->ne", weights_nM, self.x_NE[near_nM]))


class Own:
    """sample(n): the next n of a run's vectors, in an order drawn at random."""

    def __init__(self, x_NE: np.ndarray, seed: int) -> None:
        self.x_NE, self.order_N, self.taken = x_NE, np.random.default_rng(seed).permutation(len(x_NE)), 0

    def sample(self, n: int) -> np.ndarray:
        rows_n = self.order_N[self.taken : self.taken + n]
        self.taken += n
        return unit_length(self.x_NE[rows_n])


@dataclass(frozen=True, eq=False)
class Rows:
    """A selection by the number in a Pin's id."""

    chosen_N: np.ndarray

    def mask(self, ids: pa.LargeStringArray) -> np.ndarray:
        return self.chosen_N[ids.cast(pa.int64()).to_numpy()]


def filters(codes_NE: np.ndarray, affine: Affine, seed: int) -> Iterator[tuple[str, np.ndarray | None]]:
    rng = np.random.default_rng(seed)
    yield "none", None
    at_random_N = rng.random(len(codes_NE))
    direction_E = rng.normal(size=affine.dim).astype(np.float32)
    place_N = np.concatenate([x_nE @ direction_E for x_nE in blocks(codes_NE, affine)])
    for share in SHARES:
        yield f"{share:.0%} at random", at_random_N < share
        yield f"{share:.0%} on one side", place_N >= np.quantile(place_N, 1 - share)


def blocks(codes_NE: np.ndarray, affine: Affine) -> Iterator[np.ndarray]:
    return (affine.vectors(codes_NE[start : start + BLOCK]) for start in range(0, len(codes_NE), BLOCK))


def measured(search: Search, asked_QE: np.ndarray, truth_QK: np.ndarray) -> tuple[float, float]:
    """(recall@10, queries a core second)"""
    found = search(asked_QE)
    recall = (
        float(np.mean([len(np.intersect1d(*pair)) for pair in zip(found, truth_QK, strict=True)])) / truth_QK.shape[1]
    )
    start = time.process_time()
    for query_E in asked_QE[:200]:
        search(query_E[None])
    return recall, len(asked_QE[:200]) / (time.process_time() - start)


def by_index(index: PinIndex, only: Rows | None, effort: int) -> Search:
    def search(asked_QE: np.ndarray) -> np.ndarray:
        ids = index.search(asked_QE, K, only=only, effort=effort)[0]
        return np.array([[-1 if one is None else int(one) for one in row] for row in ids])

    return search


def by_prefix(codes_NE: np.ndarray, affine: Affine) -> Search:
    short = Affine(affine.scale, affine.zero_point, affine.bits, PREFIX)
    index = built(np.ascontiguousarray(codes_NE[:, :PREFIX]), short)

    def search(asked_QE: np.ndarray) -> np.ndarray:
        ids = index.search(asked_QE[:, :PREFIX], RERANKED)[0].astype(np.int64)
        vectors_QCE = affine.vectors(codes_NE[ids.ravel()]).reshape(*ids.shape, affine.dim)
        best = np.argsort(-(vectors_QCE @ asked_QE[:, :, None])[..., 0], axis=1)[:, :K]
        return np.take_along_axis(ids, best, axis=1)

    return search


def built(codes_NE: np.ndarray, affine: Affine) -> PinIndex:
    ids = as_ids([str(row) for row in range(len(codes_NE))])
    rows = VectorRows(ids, codes_NE, np.zeros(len(codes_NE), dtype=np.int64))
    return PinIndex.build([rows], "v0", affine, IndexConfig())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="the folder of a run, with its vectors")
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--efforts", default=str(IndexConfig().effort), help="separated by commas")
    args = parser.parse_args()
    pins_NE, words_NE = read_vectors(args.run / "vectors", "pin"), read_queries(args.run / "vectors")[1]
    drawn_from = Own if len(pins_NE) >= args.vectors + args.queries + CALIBRATION else Grown
    pins, words = drawn_from(pins_NE, args.seed), drawn_from(words_NE, args.seed + 1)
    affine = calibrate(pins.sample(CALIBRATION), 8, args.seed)
    sizes = [min(BLOCK, args.vectors - start) for start in range(0, args.vectors, BLOCK)]
    codes_NE = np.concatenate([affine.quantize(pins.sample(size)) for size in sizes])
    asked = {"Pins": pins.sample(args.queries), "words": words.sample(args.queries)}
    index = built(codes_NE, affine)
    origin = drawn_from.__name__.lower()
    print(f"{args.vectors:,} Pins of {affine.dim} ({origin}), {args.queries} of each kind ask")
    print(WIDTHS.format("asked by", " filter", "effort", "recall@10", "queries/s"), flush=True)
    threads = faiss.omp_get_max_threads()
    for name, chosen_N in filters(codes_NE, affine, args.seed):
        rows = np.arange(len(codes_NE)) if chosen_N is None else np.flatnonzero(chosen_N)
        for kind, asked_QE in asked.items():
            truth_QK = rows[top_k_of_blocks(asked_QE, blocks(codes_NE[rows], affine), K)[0]]
            faiss.omp_set_num_threads(1)
            only = None if chosen_N is None else Rows(chosen_N)
            for effort in map(int, args.efforts.split(",")):
                figures = measured(by_index(index, only, effort), asked_QE, truth_QK)
                print(WIDTHS.format(kind, " " + name, effort, f"{figures[0]:.4f}", f"{figures[1]:,.0f}"), flush=True)
            faiss.omp_set_num_threads(threads)
    if affine.dim > PREFIX:
        search = by_prefix(codes_NE, affine)
        faiss.omp_set_num_threads(1)
        for kind, asked_QE in asked.items():
            truth_QK = top_k_of_blocks(asked_QE, blocks(codes_NE, affine), K)[0]
            figures = measured(search, asked_QE, truth_QK)
            print(WIDTHS.format(kind, f" prefix {PREFIX}", "", f"{figures[0]:.4f}", f"{figures[1]:,.0f}"), flush=True)
    print(f"peak {peak_bytes() / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
