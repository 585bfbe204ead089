"""Settings of the data: which Pins enter a run, which are held out, how the graph is walked."""

from typing import Literal

from pydantic import Field

from model.config.overrides import section


@section
class PrepareConfig:
    """What enters a run: consent first, then images that decode, then boards that are not personal."""

    max_image_bytes: int = Field(default=20_000_000, ge=1, le=1_000_000_000)
    max_image_pixels: int = Field(default=40_000_000, ge=1, le=1_000_000_000)
    min_image_side: int = Field(default=8, ge=1, le=10_000)
    # k-anonymity: a board with fewer Pins than this says something about a person, and so do preferences of a user
    # with fewer in all. 1: boards that are nobody's own
    min_board_pins: int = Field(default=2, ge=1, le=1_000_000)
    # Of users that the catalogue names: a save or preference older than another by this many days counts half as much.
    taste_half_life_days: float = Field(default=90, gt=0, le=36_500)
    max_quarantined: float = Field(default=0.05, ge=0, le=1)  # share of Pins; above it the validation step fails


@section
class SplitConfig:
    """Fresh Pins (never in a training batch, no edges in any walk) and held-out edges of training Pins."""

    by: Literal["auto", "hash", "time"] = "auto"  # auto: the newest groups where every Pin has created_at
    fresh_share: float = Field(default=0.2, gt=0, lt=0.9)
    heldout_edges: float = Field(default=0.1, ge=0, lt=0.9)
    # Of the other groups; the rest is left out of everything, as if nobody had saved it.
    train_share: float = Field(default=1.0, gt=0, le=1)
    judge: Literal["fresh", "validation"] = "fresh"  # validation: see model/graph/splits.py


@section
class GraphConfig:
    """Random walks with restart over the bipartite graph of Pins and boards, or of Pins and users."""

    # users: all boards of a user are one, and so are the preferences; a board without a user stays as it is
    over: Literal["boards", "users"] = "boards"

    walks: int = Field(default=64, ge=1, le=100_000)  # walkers started at every Pin
    steps: int = Field(default=4, ge=1, le=1_000)  # Pin -> board -> Pin hops of one walker
    restart: float = Field(default=0.3, ge=0, lt=1)  # probability of jumping back to the start before a hop
    top: int = Field(default=32, ge=1, le=100_000)  # neighbours kept for a Pin
    damping: float = Field(default=0.5, ge=0, le=10)  # a board of n Pins is chosen with weight n ** -damping
