"""Pin vectors from the Redis of a pinclip feature store, for rankers that have numpy and nothing else of pinclip.

vectors = PinVectors.of("localhost:6379")
found, missing = vectors.read(["pin-1", "pin-2"])
"""

from pinclip_features.codes import Codes
from pinclip_features.reading import PinVectors, VectorsError

__all__ = ["Codes", "PinVectors", "VectorsError"]
