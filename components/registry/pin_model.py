"""The registered model, as MLflow loads it: a thin pyfunc over a model folder (safetensors, no pickle).

    model = mlflow.pyfunc.load_model("models:/pinclip@challenger")
    model.predict([{"image": jpeg_bytes, "title": "A red chair"}, {"query": "chairs"}])
    model.predict({"query": ["chairs", "tables"]})
    model.predict(pq.read_table(pins).to_pandas())

A row with `query` is encoded as a search query, any other as a Pin, of which the image or the texts may be missing.
Texts are cleaned and images decoded as the prepare step does it. The answer has one column, `vector`: the
L2-normalised vector of each row, under the index of the input. This file is stored with every version (models from
code) and run where the version is loaded; the pipeline itself never imports it.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from model.data.catalogue import TEXT_SIGNALS
from model.data.fields import FIELDS, CleanRow, UnreadableField, read_row
from model.data.images.decoding import UnreadableImage


class PinModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        from model.embedding.embedder import Embedder  # torch: only where vectors are asked for

        self.embedder = Embedder(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """
        Raises:
            ValueError: a row that cannot be read, by its place, column and type; or no known column at all.
        """
        table = _rows_of(model_input)
        counted = isinstance(table.index, pd.RangeIndex) and table.index.start == 0
        rows = [
            _read(f"Row {number}" if counted else f"Row {number} (index {label!r})", row)
            for number, (label, row) in enumerate(zip(table.index, table.to_dict("records"), strict=True))
        ]
        queries = [i for i, row in enumerate(rows) if row.query]
        pins = [i for i, row in enumerate(rows) if not row.query]
        vectors = np.zeros((len(rows), self.embedder.dim), dtype=np.float32)
        vectors[queries] = self.embedder.queries([rows[i].query for i in queries])
        vectors[pins] = self._pins(rows, pins)
        return pd.DataFrame({"vector": vectors.tolist()}, index=table.index)

    def _pins(self, rows: list[CleanRow], pins: list[int]) -> np.ndarray:
        try:
            return self.embedder.pins([rows[i].image for i in pins], [rows[i].texts for i in pins])
        except UnreadableImage as error:
            raise ValueError(f"Row {pins[error.place or 0]}: the 'image' cannot be used: {error}.") from None


def _rows_of(table: pd.DataFrame) -> pd.DataFrame:
    """The known columns."""
    repeated = table.columns[table.columns.duplicated()]
    if table.columns.nlevels > 1 or len(repeated):
        what = f"The column {repeated[0]!r} is there twice" if len(repeated) else "The columns have several levels"
        raise ValueError(f"{what}; give each of {', '.join(FIELDS)} once, by its name.")
    known = [name for name in FIELDS if name in table.columns]
    if not known:
        given = f"; given were {', '.join(map(str, table.columns))}" if len(table.columns) else ""
        raise ValueError(f"None of this model's columns is there: {', '.join(FIELDS)}{given}.")
    if known == ["query"] and len(table) == 1 and isinstance(table["query"].iloc[0], list):
        return pd.DataFrame({"query": table["query"].iloc[0]})  # MLflow makes one row of {"query": ["a", "b"]}
    return table[known]


def _read(place: str, row: dict[Any, Any]) -> CleanRow:
    try:
        read = read_row(row)
    except UnreadableField as error:
        raise ValueError(f"{place}: {error}") from None
    others = [*(["image"] if read.image is not None else []), *read.texts]
    if read.query and others:
        raise ValueError(f"{place} has a query and {', '.join(others)}; give a query alone, or a Pin without one.")
    if not read.query and not others:
        raise ValueError(
            f"{place} is empty, or nothing is left of it once cleaned; "
            f"give an image, a text ({', '.join(TEXT_SIGNALS)}) or a query."
        )
    return read


mlflow.models.set_model(PinModel())
