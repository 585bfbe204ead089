"""The encoder of a model folder on ONNX Runtime."""

from pathlib import Path

from model.config.folder import read_config
from serving.encoder.export import exported
from serving.encoder.graphs import GraphEncoder


class OnnxEncoder(GraphEncoder):
    """See serving.encoder.opening.Encoder."""

    name = "ONNX Runtime"

    def __init__(self, model_folder: Path, cache: Path, threads: int = 0) -> None:
        graphs, config = exported(model_folder, cache), read_config(model_folder)
        super().__init__(graphs, model_folder, config.text.context, threads)
        self.image_size, self.limits = config.vision.image_size, config.prepare
