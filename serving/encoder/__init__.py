"""A model folder as a service runs it: ONNX Runtime on a CPU, PyTorch on a GPU. Its face: Encoder, open_encoder."""

from serving.encoder.opening import Encoder, open_encoder

__all__ = ["Encoder", "open_encoder"]
