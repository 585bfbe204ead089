"""The registered model, as MLflow loads it: a thin pyfunc over a model folder (safetensors, no pickle).

    model = mlflow.pyfunc.load_model("models:/pinclip@challenger")
    model.predict([{"image": jpeg_bytes, "title": "A red chair"}, {"query": "chairs"}])

A row with `query` is encoded as a search query, any other as a Pin, of which the image or the texts may be missing.
The answer has one column, `vector`: the L2-normalised vector of each row. This file is stored with every version
(models from code) and run where the version is loaded; the pipeline itself never imports it.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from model.catalogue import TEXT_SIGNALS


class PinModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        from model.embedding import Embedder  # torch: only where vectors are asked for

        self.embedder = Embedder(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        rows = [_present(row) for row in model_input.to_dict("records")]
        _refuse_empty(rows)
        queries = [i for i, row in enumerate(rows) if "query" in row]
        pins = [i for i, row in enumerate(rows) if "query" not in row]
        vectors = np.zeros((len(rows), self.embedder.dim), dtype=np.float32)
        vectors[queries] = self.embedder.queries([rows[i]["query"] for i in queries])
        texts = [{name: rows[i][name] for name in TEXT_SIGNALS if name in rows[i]} for i in pins]
        vectors[pins] = self.embedder.pins([rows[i].get("image") for i in pins], texts)
        return pd.DataFrame({"vector": vectors.tolist()})


def _present(row: dict[Any, Any]) -> dict[Any, Any]:
    """The row without its missing values, which pandas may write as None or NaN."""
    return {name: value for name, value in row.items() if isinstance(value, (str, bytes)) and value}


def _refuse_empty(rows: list[dict[Any, Any]]) -> None:
    for number, row in enumerate(rows):
        if not row:
            raise ValueError(f"Row {number} is empty; give an image, a text ({', '.join(TEXT_SIGNALS)}) or a query.")


mlflow.models.set_model(PinModel())
