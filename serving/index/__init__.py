"""The approximate nearest-neighbour index of one embedding space. Public names: PinIndex and IndexConfig."""

from serving.index.config import IndexConfig
from serving.index.live import PinIndex

__all__ = ["IndexConfig", "PinIndex"]
