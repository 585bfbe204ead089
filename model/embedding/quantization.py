"""Quantizing a table of vectors: the range of the codes is chosen on training Pins, then every Pin is coded.

The range [-r, r] that the codes of model/embedding/affine.py span is not the range of the values: of a few candidates,
the one whose vectors keep most of the float vectors' own nearest neighbours is chosen.

    quantized/  pins/*.parquet     pin_id · vector            binary: E int8 codes, or E/2 bytes of two 4-bit codes
                quantization.json  scale, zero_point, bits, dim
                queries.npy        float32 (Q, E): some queries' vectors, to ask an index with; none is compared by code
                held_out.parquet   as it is beside the vectors

Shape legend: N vectors · Q queries · E vector dimension · B bytes of a stored vector
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.blas import threads
from model.config import Config
from model.embedding.affine import Affine, read_affine
from model.embedding.columns import as_binary, as_matrix
from model.embedding.held_out import HELD_OUT_FILE
from model.embedding.retrieval import shared, top_k
from model.embedding.stored import query_column, vector_column
from model.files import replaced, write_json

# Of |x|: candidates for the range. Four bits clip more of the values than eight.
QUANTILES = (0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0)
NEIGHBOURS, QUERIES = 10, 500  # of the choice
QUERIES_FILE, KEPT_QUERIES = "queries.npy", 1_000
C = TypeVar("C")


def calibrate(x_NE: np.ndarray, bits: int, seed: int) -> Affine:
    """The scale, among clipped ranges, whose vectors find most of the float vectors' nearest neighbours."""
    sizes = np.sort(np.abs(x_NE), axis=None)
    limits = [np.quantile(sizes, quantile, overwrite_input=True) for quantile in QUANTILES]
    candidates = [_affine(limit, bits, x_NE.shape[1]) for limit in limits]
    return keeping_most(x_NE, candidates, lambda affine: affine.vectors(affine.quantize(x_NE)), seed)


def keeping_most(x_NE: np.ndarray, candidates: Sequence[C], restored: Callable[[C], np.ndarray], seed: int) -> C:
    """The candidate whose restored vectors (N, E) find most of the nearest neighbours that x_NE itself finds."""
    rng = np.random.default_rng(seed)
    queries = rng.choice(len(x_NE), size=min(QUERIES, len(x_NE)), replace=False)
    exact = top_k(x_NE[queries], x_NE, NEIGHBOURS + 1)[0]

    def kept(candidate: C) -> float:
        y_NE = restored(candidate)
        found = top_k(y_NE[queries], y_NE, NEIGHBOURS + 1)[0]
        return float(shared(exact, found).mean())

    with threads() as pool:
        return candidates[int(np.argmax(list(pool.map(kept, candidates))))]


def quantize(vectors: Path, training: np.ndarray, out: Path, config: Config) -> Affine:
    """Calibrates on training Pins, writes the codes of every Pin into the folder above.

    Args:
        training: bool (pins,), True where trained on, in the order of `vectors`.
    """
    sample = calibration_pins(training, config)
    affine = calibrate(vector_column(vectors, "pin")[sample], config.quantization.bits, config.seed)
    with replaced(out) as scratch:
        (scratch / "pins").mkdir(parents=True)
        for shard in sorted((vectors / "pins").glob("*.parquet")):
            table = pq.read_table(shard, columns=["pin_id", "pin"])
            packed = affine.pack(affine.quantize(as_matrix(table["pin"].combine_chunks())))
            pq.write_table(
                pa.table({"pin_id": table["pin_id"], "vector": as_binary(packed)}), scratch / "pins" / shard.name
            )
        write_json(scratch / "quantization.json", asdict(affine))
        queries = query_column(vectors)
        rows = np.random.default_rng(config.seed).permutation(len(queries))[:KEPT_QUERIES]
        np.save(scratch / QUERIES_FILE, queries[np.sort(rows)])
        if (vectors / HELD_OUT_FILE).is_file():
            shutil.copyfile(vectors / HELD_OUT_FILE, scratch / HELD_OUT_FILE)
    return affine


def calibration_pins(training: np.ndarray, config: Config) -> np.ndarray:
    """Rows of the training Pins that a code may learn from, drawn by seed, rising; training: bool (pins,)."""
    rows = np.flatnonzero(training)
    size = min(config.quantization.calibration_pins, len(rows))
    return np.sort(np.random.default_rng(config.seed).choice(rows, size=size, replace=False))


def read_codes(quantized: Path) -> np.ndarray:
    """int8 codes (N, E) in the catalogue's order."""
    affine = read_affine(quantized)
    parts = [pq.read_table(p, columns=["vector"])["vector"] for p in sorted((quantized / "pins").glob("*.parquet"))]
    packed = np.frombuffer(b"".join(vector for part in parts for vector in part.to_pylist()), np.uint8)
    return affine.unpack(packed.reshape(-1, affine.bytes_per_pin))


def _affine(limit: float, bits: int, dim: int) -> Affine:
    return Affine(scale=float(limit) / ((1 << (bits - 1)) - 1), zero_point=0, bits=bits, dim=dim)
