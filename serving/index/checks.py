"""Checks the arguments of the index's public methods; each mistake is an error of one sentence.

Shape legend: N vectors · E vector dimension
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from model.data.catalogue import TIME
from model.embedding.affine import Affine, unit_length
from model.errors import VectorIndexError


def checked_ids(ids: Sequence[str]) -> list[str]:
    for place, pin_id in enumerate(ids):
        if not isinstance(pin_id, str) or not pin_id:
            raise VectorIndexError(f"Id {place} is {pin_id!r}; an id is a string that is not empty.")
    return list(ids)


def checked_codes(codes_NE: np.ndarray, count: int, affine: Affine) -> np.ndarray:
    """int8 (N, E), contiguous."""
    if codes_NE.shape != (count, affine.dim):
        raise VectorIndexError(
            f"{count} ids came with codes of shape {codes_NE.shape}; this index takes ({count}, {affine.dim})."
        )
    if codes_NE.dtype != np.int8:
        raise VectorIndexError(f"The codes are {codes_NE.dtype}; quantize the vectors to int8 with the space's affine.")
    low, high = -(1 << (affine.bits - 1)), (1 << (affine.bits - 1)) - 1
    if codes_NE.size and (codes_NE.min() < low or codes_NE.max() > high):
        raise VectorIndexError(f"Some codes lie outside {low} … {high}; this space has {affine.bits} bits.")
    return np.ascontiguousarray(codes_NE)


def checked_vectors(vectors_NE: np.ndarray, dim: int) -> np.ndarray:
    """float32 (N, E) of length 1."""
    vectors_NE = np.asarray(vectors_NE)
    if vectors_NE.ndim != 2 or vectors_NE.shape[1] != dim:
        raise VectorIndexError(f"The vectors have shape {vectors_NE.shape}; this index takes (vectors, {dim}).")
    if vectors_NE.dtype.kind not in "fiu":
        raise VectorIndexError(f"The vectors are {vectors_NE.dtype}; give numbers, best float32.")
    wrong = np.flatnonzero(~np.isfinite(vectors_NE).all(axis=1))
    if len(wrong):
        raise VectorIndexError(f"Vector {wrong[0]} has NaN or infinite numbers; look at the model that made it.")
    return unit_length(np.ascontiguousarray(vectors_NE, dtype=np.float32))


def checked_times(event_times: Sequence[datetime] | np.ndarray, count: int) -> np.ndarray:
    """int64 (N,): microseconds since 1970, UTC. A datetime without a zone is read as UTC."""
    try:
        times = pa.array(event_times, TIME)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise VectorIndexError(
            "The event times can't be read; give datetimes or a numpy array datetime64[us]."
        ) from None
    if len(times) != count or times.null_count:
        raise VectorIndexError(f"{count} ids came with {len(times) - times.null_count} event times; give one for each.")
    return times.cast(pa.int64()).to_numpy()
