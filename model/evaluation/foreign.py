"""The vectors of a frozen image–text model as it is, read from what is kept of it (model/extraction).

Shape legend: n rows of a part · E vector dimension
"""

from pathlib import Path

import numpy as np

from model.data.catalogue import TEXT_SIGNALS, Catalogue
from model.data.cleaning import clean_query
from model.embedding.affine import unit_length
from model.embedding.columns import VectorColumn
from model.evaluation.evaluate import ModelVectors, two_towers
from model.evaluation.tasks import first_texts
from model.extraction.reading import Extraction
from model.extraction.records import Records

ROWS = 4096  # of a part


def foreign_vectors(prepared: Path, extracted: Path) -> ModelVectors:
    """`extracted`: extraction.json of towers that share a space (`join` is "vector").

    Raises:
        ModelError: what is kept of them is not there.
    """
    catalogue, kept = Catalogue(prepared / "catalogue"), Extraction.read(extracted)
    assert kept.images and kept.texts
    texts = first_texts(catalogue.read("pins", list(TEXT_SIGNALS)))
    numbers = np.full(len(texts), -1, dtype=np.int64)
    with_text = np.array([bool(text) for text in texts], dtype=bool)
    numbers[with_text] = kept.of_texts([text for text in texts if text])
    queries = sorted(set(catalogue.read("queries", ["query"])["query"].to_pylist()))
    return two_towers(
        _column(kept.images, kept.of_pins(prepared)),
        _column(kept.texts, numbers),
        queries,
        _column(kept.texts, kept.of_texts([clean_query(query) for query in queries])),
    )


def _column(records: Records, numbers: np.ndarray) -> VectorColumn:
    """The records of these numbers as vectors of unit length; zeros for the number -1."""
    starts = np.append(np.arange(0, len(numbers), ROWS), len(numbers))

    def part(i: int) -> np.ndarray:
        asked = numbers[starts[i] : starts[i + 1]]
        out_nE = np.zeros((len(asked), records.shape[-1]), dtype=np.float32)
        out_nE[asked >= 0] = records.read(asked[asked >= 0]).float().flatten(1).numpy()
        return out_nE

    return VectorColumn(starts, part).map(unit_length)
