"""Global affine quantization: one scale and one zero point for the whole table (PinCLIP).

    x_q  = clip(round(x / s) + z, low, high)        int8: low = -128, high = 127;  4 bits: -8 … 7
    x_dq = s (x_q - z)

The range [-r, r] that the codes span is not the range of the values: of a few candidates, the one whose dequantized
vectors keep most of the float vectors' own nearest neighbours on training Pins is chosen.

    quantized/  pins/*.parquet     pin_id · vector            binary, E int8 codes
                quantization.json  scale, zero_point, bits, dim

Shape legend: N vectors · E vector dimension
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.config import Config
from model.embedding import as_matrix, read_vectors
from model.files import replaced, write_json
from model.neighbourhood import read_fresh
from model.retrieval import top_k

QUANTILES = (0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0)  # of |x|: candidates for the range
NEIGHBOURS, QUERIES = 10, 500  # of the choice


@dataclass(frozen=True)
class Affine:
    scale: float
    zero_point: int
    bits: int
    dim: int

    def quantize(self, x_NE: np.ndarray) -> np.ndarray:
        """int8 codes (N, E)."""
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return np.clip(np.round(x_NE / self.scale) + self.zero_point, low, high).astype(np.int8)

    def dequantize(self, codes_NE: np.ndarray) -> np.ndarray:
        """float32 (N, E)."""
        return np.float32(self.scale) * (codes_NE.astype(np.float32) - np.float32(self.zero_point))


def calibrate(x_NE: np.ndarray, bits: int, seed: int) -> Affine:
    """The scale, among clipped ranges, whose vectors find most of the float vectors' nearest neighbours."""
    rng = np.random.default_rng(seed)
    queries = rng.choice(len(x_NE), size=min(QUERIES, len(x_NE)), replace=False)
    exact = top_k(x_NE[queries], x_NE, NEIGHBOURS + 1)[0]
    candidates = [_affine(np.quantile(np.abs(x_NE), quantile), bits, x_NE.shape[1]) for quantile in QUANTILES]

    def kept(affine: Affine) -> float:
        x_dq = affine.dequantize(affine.quantize(x_NE))
        found = top_k(x_dq[queries], x_dq, NEIGHBOURS + 1)[0]
        return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(exact, found, strict=True)]))

    return max(candidates, key=kept)


def quantize(vectors: Path, neighbours: Path, out: Path, config: Config) -> Affine:
    """Calibrates on training Pins, writes the codes of every Pin into the folder above."""
    training = np.flatnonzero(~read_fresh(neighbours))
    rng = np.random.default_rng(config.seed)
    size = min(config.quantization.calibration_pins, len(training))
    sample = np.sort(rng.choice(training, size=size, replace=False))
    affine = calibrate(read_vectors(vectors, "pin")[sample], config.quantization.bits, config.seed)
    with replaced(out) as scratch:
        (scratch / "pins").mkdir(parents=True)
        for shard in sorted((vectors / "pins").glob("*.parquet")):
            table = pq.read_table(shard, columns=["pin_id", "pin"])
            codes = affine.quantize(as_matrix(table["pin"].combine_chunks()))
            pq.write_table(
                pa.table({"pin_id": table["pin_id"], "vector": _as_binary(codes)}), scratch / "pins" / shard.name
            )
        write_json(scratch / "quantization.json", asdict(affine))
    return affine


def read_affine(quantized: Path) -> Affine:
    return Affine(**json.loads((quantized / "quantization.json").read_text(encoding="utf-8")))


def read_codes(quantized: Path, dim: int) -> np.ndarray:
    """int8 codes (N, E) in the catalogue's order."""
    parts = [pq.read_table(p, columns=["vector"])["vector"] for p in sorted((quantized / "pins").glob("*.parquet"))]
    return np.concatenate([np.frombuffer(b"".join(part.to_pylist()), np.int8).reshape(-1, dim) for part in parts])


def _affine(limit: float, bits: int, dim: int) -> Affine:
    return Affine(scale=float(limit) / ((1 << (bits - 1)) - 1), zero_point=0, bits=bits, dim=dim)


def _as_binary(codes_NE: np.ndarray) -> pa.BinaryArray:
    offsets = np.arange(len(codes_NE) + 1, dtype=np.int32) * codes_NE.shape[1]
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(codes_NE), [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(codes_NE))]
    )
