"""Vectors of a folder of pictures that belong to no catalogue: campaign pictures, what users have sent.

    embed_pictures(folder, Embedder(model), Path("vectors.parquet"))
    vectors.parquet            file · vector          the path below the folder; list of float32 of length 1
    vectors.refused.parquet    file · reason          those that cannot be read; only where there are any

Shape legend: n pictures of a block · S image side · E vector dimension
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.data.images.decoding import UnreadableImage, to_pixels
from model.data.images.formats import ENDINGS
from model.embedding.embedder import BLOCK, Embedder
from model.errors import CatalogueError
from model.files import replaced

Report = Callable[[float, str], None]  # share done in [0, 1], what is being done
REFUSED = pa.schema([("file", pa.string()), ("reason", pa.string())])


def embed_pictures(
    folder: Path, embedder: Embedder, out: Path, report: Report = lambda fraction, message: None
) -> tuple[int, int]:
    """(pictures embedded, pictures refused). Both files are written whole or not at all.

    Raises:
        CatalogueError: the folder has no picture, or none that can be read.
    """
    schema = pa.schema([("file", pa.string()), ("vector", pa.list_(pa.float32(), embedder.dim))])

    def rows(names: list[str], vectors_nE: np.ndarray) -> pa.Table:
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors_nE.ravel()), embedder.dim)
        return pa.table([pa.array(names, pa.string()), column], schema=schema)

    return write_rows_of_pictures(folder, embedder, out, schema, rows, report)


def write_rows_of_pictures(
    folder: Path,
    embedder: Embedder,
    out: Path,
    schema: pa.Schema,
    rows: Callable[[list[str], np.ndarray], pa.Table],
    report: Report,
) -> tuple[int, int]:
    """As embed_pictures; rows(files, vectors (n, E)) makes those of a block.

    Raises:
        CatalogueError: as embed_pictures.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not files:
        raise CatalogueError(f"{folder} holds no picture; its files would end in {', '.join(ENDINGS[:5])} or the like.")
    embedded, refused = 0, list[dict[str, str]]()
    with replaced(out) as scratch:
        with pq.ParquetWriter(scratch, schema) as writer:
            for start in range(0, len(files), BLOCK):
                block = list(_read(files[start : start + BLOCK], folder, embedder, refused))
                if block:
                    writer.write_table(rows([name for name, _ in block], _vectors(block, embedder)))
                embedded += len(block)
                done = min(start + BLOCK, len(files))
                report(done / len(files), f"{done:,} of {len(files):,} pictures, {len(refused):,} refused")
        if not embedded:
            raise CatalogueError(
                f"None of the {len(files):,} pictures of {folder} can be read: {refused[0]['reason']}."
            )
    aside = out.with_suffix(".refused.parquet")
    aside.unlink(missing_ok=True)
    if refused:
        with replaced(aside) as scratch:
            pq.write_table(pa.Table.from_pylist(refused, REFUSED), scratch)
    return embedded, len(refused)


def _read(
    files: list[Path], folder: Path, embedder: Embedder, refused: list[dict[str, str]]
) -> Iterator[tuple[str, np.ndarray]]:
    """(file, uint8 (S, S, 3)) of those that can be read."""
    limits = embedder.config.prepare
    for path in files:
        name = str(path.relative_to(folder)).encode("utf-8", "replace").decode()
        try:
            if path.stat().st_size > limits.max_image_bytes:
                raise UnreadableImage("too many bytes")
            yield name, to_pixels(path.read_bytes(), embedder.config.vision.image_size, limits)
        except UnreadableImage as error:
            refused.append({"file": name, "reason": error.reason})
        except OSError as error:
            refused.append({"file": name, "reason": error.strerror or type(error).__name__})


def _vectors(block: list[tuple[str, np.ndarray]], embedder: Embedder) -> np.ndarray:
    """float32 (n, E)"""
    pixels_nSS3 = np.stack([pixels for _, pixels in block])
    return embedder.block(pixels_nSS3, np.ones(len(block), dtype=bool), [{}] * len(block))[0]
