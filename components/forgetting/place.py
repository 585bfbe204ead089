"""What every kind of place answers to: is something of these Pins here, and: erase it.

    place.find(pins)     ->  {"feast/offline/…/00000.parquet": 1, …}   every spot that was looked at, and what is there
    place.erase(pins)    ->  the same, and none of it is there any more, but for what is busy

Both may be called again at any time. A spot's name holds no id.
"""

from collections.abc import Mapping
from typing import Protocol

from components.forgetting.pins import Pins

Counts = Mapping[str, int]


class Place(Protocol):
    @property
    def name(self) -> str: ...

    def find(self, pins: Pins) -> Counts: ...

    def erase(self, pins: Pins) -> Counts: ...
