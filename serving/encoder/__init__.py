"""Runs the encoder of a model folder in a service: ONNX Runtime on a CPU, PyTorch on a GPU. Public names: Encoder,
open_encoder."""

from serving.encoder.opening import Encoder, open_encoder

__all__ = ["Encoder", "open_encoder"]
