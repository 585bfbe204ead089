"""The settings of an index. They are stored in its manifest, so that it is searched with the settings that it was built
with."""

from dataclasses import dataclass
from typing import Literal, get_args

from model.errors import ConfigError

StructureKind = Literal["exact", "hnsw", "ivf"]


@dataclass(frozen=True)
class IndexConfig:
    kind: StructureKind = "hnsw"
    # hnsw: vectors held during a search (efSearch), all of which are ranked by cosine; ivf: lists read. A promotion may
    # raise it.
    effort: int = 192
    links: int = 16  # hnsw: of a vector on each layer, twice as many on the lowest (M)
    build_depth: int = 100  # hnsw: vectors held while a new one looks for its links (efConstruction)
    lists: int = 0  # ivf; 0: 4 · √N
    rebuild_share: float = 0.2  # dead rows of all; a snapshot with more is built anew, without them
    seed: int = 0

    def __post_init__(self) -> None:
        _require(self.kind in get_args(StructureKind), f"index.kind is {self.kind!r}; choose exact, hnsw or ivf.")
        _require(self.effort >= 1, f"index.effort is {self.effort}; choose at least 1.")
        _require(2 <= self.links <= 256, f"index.links is {self.links}; choose 2 to 256.")
        _require(self.build_depth >= 1, f"index.build_depth is {self.build_depth}; choose at least 1.")
        _require(self.lists >= 0, f"index.lists is {self.lists}; choose 0 (4 · √N) or more.")
        share = self.rebuild_share
        _require(0 < share <= 1, f"index.rebuild_share is {share}; choose a share in (0, 1].")
        _require(self.seed >= 0, f"index.seed is {self.seed}; choose 0 or more.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
