"""The registered model, as MLflow loads it: ONNX graphs and their tokenizers behind the pyfunc interface.

    model = mlflow.pyfunc.load_model("models:/pinclip@challenger")
    model.predict([{"image": jpeg_bytes, "title": "A red chair"}, {"query": "chairs"}])
    model.predict({"query": ["chairs", "tables"]})
    model.predict(pq.read_table(pins).to_pandas())

A row with `query` is encoded as a search query, any other as a Pin, of which the image or the texts may be missing.
Texts are cleaned and images decoded as the prepare step does it. The answer has one column, `vector`: the
L2-normalised vector of each row, under the index of the input.

Every version holds this file with all that it uses of this project gathered into it (components/registry/one_file.py),
so it loads where neither this project nor PyTorch is installed. The pipeline itself never imports it.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from model.cpus import cpus
from model.data.catalogue import TEXT_SIGNALS
from model.data.fields import FIELDS, CleanRow, UnreadableField, read_row
from model.data.images.decoding import UnreadableImage, to_pixels
from serving.encoder.graphs import GraphEncoder

AT_ONCE = 64  # rows of one forward pass


class PinModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        """
        Raises:
            ValueError: the version was registered without graphs.
        """
        folder = Path(context.artifacts["model"])
        if not (folder / "onnx" / "exported.json").is_file():
            raise ValueError(
                "This version's network could not be exported as ONNX, so it cannot predict here; use `pinclip serve` "
                "on a GPU."
            )
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.image_size, self.dim = config["vision"]["image_size"], config["fusion"]["dim"]
        self.limits = SimpleNamespace(**config["prepare"])
        self.encoder = GraphEncoder(folder / "onnx", folder, config["text"]["context"], cpus())

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
        vectors = np.zeros((len(rows), self.dim), dtype=np.float32)
        queries, pins = ([i for i, row in enumerate(rows) if bool(row.query) is asks] for asks in (True, False))
        for block in _blocks(queries):
            vectors[block] = self.encoder.queries([rows[i].query for i in block])
        for block in _blocks(pins):
            pixels = np.stack([self._pixels(i, rows[i].image) for i in block])
            has_image = np.array([rows[i].image is not None for i in block])
            vectors[block] = self.encoder.pins(pixels, has_image, [rows[i].texts for i in block])
        return pd.DataFrame({"vector": vectors.tolist()}, index=table.index)

    def _pixels(self, number: int, image: bytes | None) -> np.ndarray:
        if image is None:
            return np.zeros((self.image_size, self.image_size, 3), dtype=np.uint8)
        try:
            return to_pixels(image, self.image_size, self.limits)
        except UnreadableImage as error:
            raise ValueError(f"Row {number}: the 'image' cannot be used: {error}.") from None


def _blocks(rows: list[int]) -> list[list[int]]:
    return [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]


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
