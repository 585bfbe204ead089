"""A small import: three Pins on two boards, and what came of it."""

import io

import pyarrow.parquet as pq
from PIL import Image

from model.data.catalogue import Catalogue
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.reading import load_spec

SPEC = """
pins: {table: items.parquet, pin_id: id, image: image, title: name}
boards: {table: boards.csv, board_id: board, pin_id: item, title: title}
queries: {from: board_titles}
"""


def image(colour="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def run(root, spec=None, report=lambda fraction, message: None):
    """(catalogue, report rows by table, quarantined rows)."""
    path = root / "spec.yaml"
    if spec:
        path.write_text(spec)
    out = root.parent / "catalogue"
    result = import_catalogue(load_spec(path), out, report)
    return Catalogue(out), {row["table"]: row for row in result.rows()}, refused(out)


def refused(out):
    return [(row["table"], row["key"], row["reason"]) for row in pq.read_table(out / "quarantine.parquet").to_pylist()]


def pins(catalogue, *columns):
    return catalogue.read("pins", ["pin_id", *columns]).to_pylist()
