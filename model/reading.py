"""Reads a catalogue that nobody has checked: a broken page or a type that does not fit is one sentence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from model.catalogue import Catalogue
from model.errors import CatalogueError


def batches(source: Catalogue, table: str, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Catalogue.batches, as tables.

    Raises:
        CatalogueError: Parquet cannot read the table or cast it to the contract.
    """
    with _one_sentence(source, table):
        for batch in source.batches(table, columns, rows):
            yield pa.Table.from_batches([batch])


def read(source: Catalogue, table: str, columns: Sequence[str]) -> pa.Table:
    """Catalogue.read.

    Raises:
        CatalogueError: Parquet cannot read the table or cast it to the contract.
    """
    with _one_sentence(source, table):
        return source.read(table, columns)


@contextmanager
def _one_sentence(source: Catalogue, table: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the disk, not the data
            raise
        reason = str(error).splitlines()[0].rstrip(".")
        raise CatalogueError(
            f"The {table} of {source.root} do not fit the contract in model/catalogue.py ({reason}); import them again."
        ) from None
