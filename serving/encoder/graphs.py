"""The encoder's exported graphs (serving/encoder/export.py) on ONNX Runtime, without PyTorch.

Shape legend: B Pins · S image side · N queries · E vector dimension
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from model.data.cleaning import RawTexts
from serving.encoder.inputs import PaddedIds, pin_texts, query_texts


class GraphEncoder:
    """
    graphs: the folder of pins.onnx, queries.onnx and, if the text tower is frozen, sentences.onnx.
    model_folder: the folder of their tokenizers.
    context: the most tokens of a text.
    threads: of one batch; 0: as many as there are CPUs.
    """

    def __init__(self, graphs: Path, model_folder: Path, context: int, threads: int = 0) -> None:
        self.context = context
        self.tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
        self._pins = _session(graphs / "pins.onnx", threads)
        self._queries = _session(graphs / "queries.onnx", threads)
        self._words: Tokenizer | None = None  # of a frozen text tower
        if "kept" in [asked.name for asked in self._queries.get_inputs()]:
            self._words = Tokenizer.from_file(str(model_folder / "text" / "tokenizer.json"))
            self._sentences = _session(graphs / "sentences.onnx", threads)

    def pins(self, pixels_BSS3: np.ndarray, has_image_B: np.ndarray, texts: Sequence[RawTexts]) -> np.ndarray:
        """See serving.encoder.opening.Encoder."""
        ids, slots_BT = pin_texts(self.tokenizer, texts, self.context)
        pictures = {"pixels": pixels_BSS3, "has_image": has_image_B, "slots": slots_BT}
        return self._pins.run(None, pictures | self._feed(ids))[0]

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """See serving.encoder.opening.Encoder."""
        return self._queries.run(None, self._feed(query_texts(self.tokenizer, texts, self.context)))[0]

    def _feed(self, ids: PaddedIds) -> dict[str, np.ndarray]:
        fed = {"ids": ids.ids_NL, "lengths": ids.lengths_N, "types": ids.types_N}
        if self._words is None:
            return fed
        own = PaddedIds.of(self._words, ids.texts, [0] * len(ids.texts), self.context)
        return fed | {"kept": self._sentences.run(None, {"ids": own.ids_NL, "lengths": own.lengths_N})[0]}


def _session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the other cores have work of their own
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
