"""Tags of a folder of pictures that belong to no catalogue.

    tags.parquet            file · tags · why          tags: list of tag, kind, column, score; why there is none
    tags.refused.parquet    file · reason              those that cannot be read; only where there are any

Shape legend: n pictures of a block · E vector dimension
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.embedding.embedder import Embedder
from model.embedding.picture_folder import Report, write_rows_of_pictures
from model.tags.calibration import Tag, nothing_fits

TAG = pa.struct([("tag", pa.string()), ("kind", pa.string()), ("column", pa.string()), ("score", pa.float32())])
SCHEMA = pa.schema([("file", pa.string()), ("tags", pa.list_(TAG)), ("why", pa.string())])


def tag_pictures(
    folder: Path,
    embedder: Embedder,
    tags: Callable[[np.ndarray], Sequence[tuple[Sequence[Tag], float]]],
    out: Path,
    report: Report = lambda fraction, message: None,
) -> tuple[int, int]:
    """(pictures tagged, pictures refused).

    tags(vectors (n, E)): of each picture what TagCalibration.tags gives.

    Raises:
        CatalogueError: the folder has no picture, or none that can be read.
    """

    def rows(files: list[str], vectors_nE: np.ndarray) -> pa.Table:
        found = tags(vectors_nE)
        named = pa.array([[asdict(one) for one in fitting] for fitting, _ in found], SCHEMA.field("tags").type)
        why = pa.array([None if fitting else nothing_fits(highest) for fitting, highest in found], pa.string())
        return pa.table([pa.array(files, pa.string()), named, why], schema=SCHEMA)

    return write_rows_of_pictures(folder, embedder, out, SCHEMA, rows, report)
