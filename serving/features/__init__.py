"""Pin vectors for whoever ranks, and the bytes that Feast keeps them in."""

from serving.features.client import Features

__all__ = ["Features"]
