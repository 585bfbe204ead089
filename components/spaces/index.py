"""Builds and checks the index of a space: it must be complete and find what exact search finds before the space serves.

Shape legend: N vectors · Q queries · E vector dimension · K results
"""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from components.settings import Settings
from components.spaces.config import PromotionConfig
from components.spaces.paths import state_folder
from model.embedding.affine import Affine
from model.embedding.retrieval import CANDIDATES, top_k_of_blocks
from model.errors import VectorIndexError
from model.files import file_lock
from serving.index import IndexConfig, PinIndex
from serving.rows import VectorRows, as_ids
from serving.space import SpaceManifest

RESULTS = 10
EQUAL = 1e-5  # cosines nearer than this are the same
PRESENT = 2_000  # Pins looked up in an index that is there already


def bring_index_up(space: SpaceManifest, config: PromotionConfig, settings: Settings) -> float:
    """Builds the index if it is not there or lacks Pins; returns its recall on a sample.

    Raises:
        VectorIndexError: the recall is below the configuration's.
    """
    folder, vectors = state_folder(space.name, settings), space.newest()
    index = _opened(folder, space.name)
    if index is None or _lacks_pins(index, vectors):
        index = PinIndex.of_published(space, IndexConfig())
        with file_lock(folder / "saving.lock", wait=True):  # a service on the space saves there too
            index.save(folder / "index")
    recall = sample_recall(index, vectors, space.affine, config.recall_queries)
    if recall < config.min_index_recall:
        raise VectorIndexError(
            f"The index of {space.name} finds {recall:.3f} of the nearest Pins, below promotion.min_index_recall "
            f"{config.min_index_recall:.3f}, so nothing was switched; remove {folder / 'index'} to build it anew."
        )
    return recall


def sample_recall(index: PinIndex, vectors: VectorRows, affine: Affine, queries: int) -> float:
    """Share of the exact nearest Pins that the index finds; of equally near ones any will do.

    The recall is measured on the stored vectors, not on the index's own copy of them.
    """
    count = len(vectors)
    rows = np.random.default_rng(0).choice(count, size=min(queries, count), replace=False)
    queries_QE = affine.vectors(vectors.codes_NE[rows])
    blocks = (affine.vectors(vectors.codes_NE[i : i + CANDIDATES]) for i in range(0, count, CANDIDATES))
    exact_QK = top_k_of_blocks(queries_QE, blocks, min(RESULTS, count))[1]
    ids_QK = index.search(queries_QE, exact_QK.shape[1])[0]
    rows_QK = pc.index_in(as_ids(ids_QK.ravel()), value_set=vectors.ids)
    rows_QK = rows_QK.fill_null(-1).to_numpy().reshape(ids_QK.shape)
    found_QKE = affine.vectors(vectors.codes_NE[rows_QK.ravel()]).reshape(*rows_QK.shape, -1)
    found_QK = np.where(rows_QK >= 0, (found_QKE @ queries_QE[:, :, None])[..., 0], -np.inf)
    return float(np.mean(found_QK >= exact_QK[:, -1:] - EQUAL))


def _opened(folder: Path, space: str) -> PinIndex | None:
    try:
        return PinIndex.open(folder / "index", space)
    except VectorIndexError:
        return None


def _lacks_pins(index: PinIndex, vectors: VectorRows) -> bool:
    sample = vectors.ids.take(np.linspace(0, len(vectors) - 1, min(PRESENT, len(vectors)), dtype=np.int64))
    return len(index) < len(vectors) or bool(index.vectors(sample.to_pylist())[1].any())
