"""Reads a catalogue that nobody has checked: a broken page or a wrong type becomes a one-sentence error."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.catalogue import Catalogue
from model.data.ledger import QUARANTINE
from model.errors import CatalogueError


def table_batches(source: Catalogue, table: str, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Catalogue.batches, as tables.

    Raises:
        CatalogueError: Parquet cannot read the table or cast it to the contract.
    """
    with _one_sentence(source, table):
        for batch in source.batches(table, columns, rows):
            yield pa.Table.from_batches([batch])


def read_table(source: Catalogue, table: str, columns: Sequence[str]) -> pa.Table:
    """Catalogue.read.

    Raises:
        CatalogueError: Parquet cannot read the table or cast it to the contract.
    """
    with _one_sentence(source, table):
        return source.read(table, columns)


def refused_by_import(source: Catalogue) -> pa.Table:
    """The Pins that `pinclip import` had to refuse: table, key, reason. They count among the broken ones of the data.

    Raises:
        CatalogueError: quarantine.parquet is there and cannot be read.
    """
    path = source.root / "quarantine.parquet"
    if not path.is_file():
        return QUARANTINE.empty_table()
    with _one_sentence(source, "quarantined rows"):
        rows = pq.read_table(path, schema=QUARANTINE)
        return rows.filter(pc.equal(rows["table"], "pins"))


@contextmanager
def _one_sentence(source: Catalogue, table: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the disk, not the data
            raise
        reason = str(error).splitlines()[0].rstrip(".")
        raise CatalogueError(
            f"The {table} of {source.root} do not fit the contract in model/data/catalogue.py ({reason}); "
            "import them again."
        ) from None
