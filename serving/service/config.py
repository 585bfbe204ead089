"""The service's settings: its spaces and its limits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import ConfigError

TOKEN = "PINCLIP_SERVE_TOKEN"  # the environment variable; files and command lines never hold the token itself
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class SpaceFiles:
    """Where one space is: <feast_home>/offline/pin_embedding_<name>.json and beside it, and its model folder."""

    name: str
    feast_home: Path
    model_folder: Path
    state: Path  # a folder of the service's own: exported graphs, index, journal


@dataclass(frozen=True)
class Opening:
    """What to serve when the service starts."""

    spaces: tuple[SpaceFiles, ...]
    serving: str  # the name of the one that is meant where none is named
    catalogue: Path | None  # whose images the page shows


# Looks for what there is to serve; raises a PinclipError with what is missing.
Find = Callable[[], Opening]


@dataclass(frozen=True)
class ServiceConfig:
    """Sizes are of one request unless they say otherwise.

    Raises:
        ConfigError: a value that does not fit, or an address that others reach and no token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = field(default="", repr=False)  # "": anyone who reaches the port may send requests
    max_bytes: int = 32_000_000  # of a body with pictures: new Pins, a search
    max_small_bytes: int = 1_000_000  # of any other body
    max_held_bytes: int = (
        256_000_000  # of all bodies together; a request for which there is no room is answered with 429
    )
    max_values: int = 20_000  # commas and brackets of a JSON body outside its strings, counted before anything is built
    max_parts: int = 128  # of a form
    max_image_bytes: int = 20_000_000
    max_pixels: int = 40_000_000  # of a picture, read from its header before it is decoded
    max_pins: int = 64
    max_results: int = 200
    max_candidates: int = 2_000  # of a rerank
    max_text: int = 100_000  # characters; of a shorter text the first model.data.cleaning.MAX_CHARACTERS count
    at_once: int = 64  # requests worked on at a time; one more is answered with 429
    per_caller: int = 48  # of one address: requests at work, and bodies on their way
    seconds: float = 10.0  # for an answer
    body_s: float = 5.0  # for a body to arrive, before the request counts as at work
    batch: int = 32  # Pins of one forward pass
    threads: int = 0  # of one forward pass; 0: as many as there are CPUs
    drain_s: float = 30.0  # seconds that a stop waits for accepted requests
    save_s: float = 300.0  # seconds between two snapshots of an index that has changed
    look_s: float = 10.0  # seconds between two looks for something to serve, while there is nothing
    follow_s: float = 1.0  # until a Pin that another service on the same folder has accepted is found here
    trim_s: float = 60.0  # seconds after which freed memory is given back
    without_damaged: bool = False  # go on without what cannot be read of shards and journals
    open_new: bool = True  # also serve a space that is promoted later

    def __post_init__(self) -> None:
        for name in (
            "max_bytes",
            "max_small_bytes",
            "max_held_bytes",
            "max_values",
            "max_parts",
            "per_caller",
            "body_s",
            "trim_s",
            "max_pins",
            "max_results",
            "at_once",
            "seconds",
            "batch",
            "drain_s",
            "save_s",
            "look_s",
            "follow_s",
        ):
            if getattr(self, name) <= 0:
                raise ConfigError(f"serve.{name} is {getattr(self, name)}; choose a value above 0.")
        if self.host not in LOOPBACK and not self.token:
            raise ConfigError(f"Others reach {self.host}; set {TOKEN} in the environment, or serve on 127.0.0.1.")
