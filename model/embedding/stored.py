"""Reads the folder of vectors that model/embedding/embedder.py writes, without what embeds: torch stays out.

Shape legend: E vector dimension
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from model.embedding.columns import VectorColumn


def vector_column(vectors: Path, name: str) -> VectorColumn:
    """`pin`, `image` or `text` of pins/*.parquet, in the catalogue's order."""
    return VectorColumn.stored(sorted((vectors / "pins").glob("*.parquet")), name)


def query_column(vectors: Path) -> VectorColumn:
    """Vectors of the queries, in the order of read_words."""
    return VectorColumn.stored([vectors / "queries.parquet"], "vector")


def read_words(vectors: Path) -> list[str]:
    """The distinct queries."""
    return pq.read_table(vectors / "queries.parquet", columns=["query"])["query"].to_pylist()


def read_vectors(vectors: Path, name: str) -> np.ndarray:
    """One column of pins/*.parquet as float32 (pins, E), whole in memory."""
    column = vector_column(vectors, name)
    return column[np.arange(len(column))]


def read_queries(vectors: Path) -> tuple[list[str], np.ndarray]:
    column = query_column(vectors)
    return read_words(vectors), column[np.arange(len(column))]
