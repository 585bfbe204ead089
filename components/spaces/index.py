"""Builds and checks the index of a space: it must be complete and find what exact search finds before the space serves.

Shape legend: N vectors · Q queries · E vector dimension · K results
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from components.settings import Settings
from components.spaces.config import PromotionConfig
from components.spaces.paths import state_folder
from components.spaces.query_sample import kept_queries
from model.embedding.affine import Affine, unit_length
from model.embedding.retrieval import CANDIDATES, top_k_of_blocks
from model.errors import VectorIndexError
from model.files import file_lock
from serving.index import IndexConfig, PinIndex
from serving.rows import VectorRows, as_ids
from serving.space import SpaceManifest

RESULTS = 10
EQUAL = 1e-5  # cosines nearer than this are the same
MOST_EFFORT = 4_096
PRESENT = 2_000  # Pins looked up in an index that is there already


def bring_index_up(space: SpaceManifest, config: PromotionConfig, settings: Settings) -> float:
    """Builds the index if it is not there or lacks Pins, and raises its effort until it finds what the configuration
    asks for; returns its recall: the lower of that asked by Pins and that asked by words.

    The more Pins there are, the more vectors a search has to read, and for words more than for Pins.

    Raises:
        VectorIndexError: the recall is below the configuration's with MOST_EFFORT too.
    """
    folder, vectors = state_folder(space.name, settings), space.newest()
    index = _opened(folder, space.name)
    if index is None or _lacks_pins(index, vectors):
        index = PinIndex.of_published(space, IndexConfig())
        with _saving(folder):
            index.save(folder / "index")
    asked = {kind: queries_QE for kind, queries_QE in _questions(space, vectors, config, settings) if len(queries_QE)}
    exact = {kind: nearest_cosines(vectors, space.affine, queries_QE) for kind, queries_QE in asked.items()}
    for effort in _efforts(index.config.effort):
        recalls = {kind: recall_of(index, vectors, space.affine, asked[kind], exact[kind], effort) for kind in asked}
        worst = min(recalls, key=lambda kind: recalls[kind])
        if recalls[worst] >= config.min_index_recall:
            break
    else:
        raise VectorIndexError(
            f"The index of {space.name} finds {recalls[worst]:.3f} of the Pins nearest to {worst}, below "
            f"promotion.min_index_recall {config.min_index_recall:.3f}, so nothing was switched; remove "
            f"{folder / 'index'} to build it anew."
        )
    if effort != index.config.effort:
        _raise_effort(folder, space.name, effort)
    return recalls[worst]


def nearest_cosines(vectors: VectorRows, affine: Affine, queries_QE: np.ndarray) -> np.ndarray:
    """Of the exactly nearest vectors (Q, K), best first; of the stored vectors, not of an index's copy of them."""
    count = len(vectors)
    blocks = (affine.vectors(vectors.codes_NE[i : i + CANDIDATES]) for i in range(0, count, CANDIDATES))
    return top_k_of_blocks(queries_QE, blocks, min(RESULTS, count))[1]


def recall_of(
    index: PinIndex, vectors: VectorRows, affine: Affine, queries_QE: np.ndarray, exact_QK: np.ndarray, effort: int
) -> float:
    """Share of the exactly nearest Pins that the index finds; of equally near ones any will do.

    exact_QK: their nearest_cosines().
    """
    ids_QK = index.search(queries_QE, exact_QK.shape[1], effort=effort)[0]
    rows_QK = pc.index_in(as_ids(ids_QK.ravel()), value_set=vectors.ids)
    rows_QK = rows_QK.fill_null(-1).to_numpy().reshape(ids_QK.shape)
    found_QKE = affine.vectors(vectors.codes_NE[rows_QK.ravel()]).reshape(*rows_QK.shape, -1)
    found_QK = np.where(rows_QK >= 0, (found_QKE @ queries_QE[:, :, None])[..., 0], -np.inf)
    return float(np.mean(found_QK >= exact_QK[:, -1:] - EQUAL))


def _efforts(usual: int) -> Iterator[int]:
    """The usual one, then its doubles up to MOST_EFFORT."""
    yield usual
    while usual < MOST_EFFORT:
        usual = min(2 * usual, MOST_EFFORT)
        yield usual


def _raise_effort(folder: Path, space: str, effort: int) -> None:
    """Of the snapshot as it is now: a service may have saved another since it was measured."""
    with _saving(folder):
        index = PinIndex.open(folder / "index", space)
        index.config = replace(index.config, effort=effort)
        index.save(folder / "index")


def _saving(folder: Path) -> AbstractContextManager[bool]:
    return file_lock(folder / "saving.lock", wait=True)  # a service on the space saves there too


def _questions(
    space: SpaceManifest, vectors: VectorRows, config: PromotionConfig, settings: Settings
) -> Iterator[tuple[str, np.ndarray]]:
    """(who asks, float32 (Q, E) of length 1): Pins, and searches in words where publishing kept some."""
    rows = np.random.default_rng(0).choice(len(vectors), size=min(config.recall_queries, len(vectors)), replace=False)
    yield "other Pins", space.affine.vectors(vectors.codes_NE[rows])
    yield "searches in words", unit_length(kept_queries(space.name, settings)[: config.recall_queries])


def _opened(folder: Path, space: str) -> PinIndex | None:
    try:
        return PinIndex.open(folder / "index", space)
    except VectorIndexError:
        return None


def _lacks_pins(index: PinIndex, vectors: VectorRows) -> bool:
    sample = vectors.ids.take(np.linspace(0, len(vectors) - 1, min(PRESENT, len(vectors)), dtype=np.int64))
    return len(index) < len(vectors) or bool(index.vectors(sample.to_pylist())[1].any())
