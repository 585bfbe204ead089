"""The spaces that a service holds, and the batches of their requests: requests that wait at the same time are encoded
together.

A batch starts at once. While it is at work the next one fills, so that batches grow with the load and a single request
does not wait.

Shape legend: N Pins · S image side · E vector dimension
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ray import serve

from model.errors import PinclipError, StoreError
from model.features.semantic_ids import SemanticIds, read_semantic_ids
from model.tags.calibration import TAGS_FILE, TagCalibration
from serving.index.selection import Selection
from serving.service.columns import Columns
from serving.service.config import Find, Opening, ServiceConfig, SpaceFiles
from serving.service.metrics import ServiceMetrics
from serving.service.pictures import Pictures
from serving.service.popular import PopularQueries
from serving.service.ranking import Ranking
from serving.service.reading import Given, RequestRefused
from serving.service.signals import Signals
from serving.service.space import Accepted, NewPin, PinSpace
from serving.service.tags import Tags
from serving.service.upkeep import each
from serving.space import semantic_ids_file

R = TypeVar("R")


class ServedSpace:
    def __init__(self, space: PinSpace, config: ServiceConfig) -> None:
        self.space = space
        batched = serve.batch(max_batch_size=config.batch, batch_wait_timeout_s=0.0)
        # One decorated function for each space: Ray keeps one queue a function, not one an object.
        self._one: Callable[[NewPin], Any] = batched(self._accept)
        self.words: Callable[[str], Any] = batched(self._words)
        self.given: Callable[[Given], Any] = batched(self._given)
        self._threads = ThreadPoolExecutor(3)  # one for each kind of batch: of each kind one is at work at a time

    async def accept(self, pin: NewPin) -> Accepted:
        """
        Raises:
            PinclipError: see PinSpace.accept. It is this Pin's own: others of its batch do not suffer from it.
        """
        answer = await self._one(pin)
        if isinstance(answer, Exception):
            raise answer
        accepted: Accepted = answer
        return accepted

    @cached_property
    def tag_calibration(self) -> TagCalibration | None:
        """
        Raises:
            StoreError: its file is damaged.
        """
        return TagCalibration.read(self.space.files.state / TAGS_FILE)

    @cached_property
    def semantic_ids(self) -> SemanticIds | None:
        """None where the space has none.

        Raises:
            ModelError: the codebook is damaged.
        """
        file = semantic_ids_file(self.space.files.feast_home, self.space.name)
        return read_semantic_ids(file) if file.is_file() else None

    async def nearest(
        self, vector_E: np.ndarray, k: int, without: Sequence[str] = (), only: Selection | None = None
    ) -> list[tuple[str, float]]:
        """(id, cosine), best first; at most k."""
        search = partial(self.space.index.search, vector_E[None], k, [list(without)], only=only)
        ids, cosines = await asyncio.to_thread(search)
        return [(i, float(c)) for i, c in zip(ids[0], cosines[0], strict=True) if i is not None]

    async def _accept(self, pins: list[NewPin]) -> list[Accepted | Exception]:
        self.space.metrics.batch.labels(self.space.name).observe(len(pins))
        return await self._in_thread(each_alone, self.space, pins)

    async def _words(self, texts: list[str]) -> list[np.ndarray]:
        return list(await self._in_thread(self.space.encoder.queries, texts))

    async def _given(self, given: list[Given]) -> list[np.ndarray]:
        """Vectors of what belongs to no Pin."""
        return list(
            await self._in_thread(self.space.encoded, [one.pixels_SS3 for one in given], [one.texts for one in given])
        )

    async def _in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def each_alone(space: PinSpace, pins: Sequence[NewPin]) -> list[Accepted | Exception]:
    """The answer of every Pin: all at once, or, where one of them makes that fail, one after the other.

    A store that does not answer fails for all of them at once.
    """
    try:
        return list(space.accept(pins))
    except StoreError as error:
        return [error for _ in pins]
    except Exception as error:
        if len(pins) == 1:
            return [error]
        return [answer for pin in pins for answer in each_alone(space, [pin])]


class ServedSpaces:
    """Everything that requests need; empty until it is opened."""

    def __init__(self, config: ServiceConfig) -> None:
        self.config, self.metrics, self.serving = config, ServiceMetrics(), ""
        self._show(None)
        self.spaces: dict[str, ServedSpace] = {}
        self.ranking: Ranking | None = None
        self.waits_for = "The service has not opened its spaces yet."  # a sentence; empty once requests are taken

    def open(self, opening: Opening) -> None:
        """
        Raises:
            PinclipError: see PinSpace.open; or the catalogue is missing or breaks its contract.
        """
        self._show(opening.catalogue)
        self.serving = opening.serving
        opened = [self._opened(one) for one in opening.spaces]
        self.spaces = {space.name: ServedSpace(space, self.config) for space in opened}
        self.ranking = Ranking(opening.spaces[0].feast_home)
        self.waits_for = ""

    def _show(self, catalogue: Path | None) -> None:
        """What requests need of the catalogue: pictures and titles, columns of filters, words, queries, boards."""
        self.pictures, self.columns = Pictures(catalogue), Columns(catalogue)
        self.popular, self.tags, self.signals = PopularQueries(catalogue), Tags(catalogue), Signals(catalogue)

    def _opened(self, files: SpaceFiles) -> PinSpace:
        return PinSpace.open(files, self.metrics, self.config.threads, self.config.without_damaged)

    def open_when_there(self, find: Find) -> None:
        """Tries once to open what there is to serve; the log says what is missing, once."""
        said, log = self.waits_for, logging.getLogger("ray.serve")
        try:
            self.open(find())
        except PinclipError as error:
            self.waits_for = str(error)
        except Exception as error:  # any error must be logged, and the next look may succeed
            self.waits_for = f"The spaces cannot be opened ({type(error).__name__}); see the service's log."
            log.exception("The spaces cannot be opened")
        if self.waits_for not in ("", said):
            log.warning("Not ready: %s", self.waits_for)

    def space(self, name: str | None) -> ServedSpace:
        """
        Raises:
            RequestRefused: 404, no such space is served here.
        """
        if (name or self.serving) not in self.spaces:
            raise RequestRefused(404, f"The space {name!r} is not served here; there are: {', '.join(self.spaces)}.")
        return self.spaces[name or self.serving]

    def save(self) -> None:
        """
        Raises:
            ExceptionGroup: of the spaces that could not be saved; the others were.
        """
        each([served.space.save for served in self.spaces.values()])

    def follow(self) -> None:
        """Takes in what others have accepted, and follows `pin_ranking`.

        Raises:
            ExceptionGroup: of what failed; the rest was done.
        """
        each([*(partial(self._follow, served) for served in self.spaces.values()), self._follow_ranking])

    def _follow(self, served: ServedSpace) -> None:
        served.space.follow()
        for shown in (self.pictures, self.columns, self.popular, self.tags, self.signals):
            shown.forget(served.space.tombstones.now)

    def _follow_ranking(self) -> None:
        space = self.ranking.moved_to() if self.ranking else None
        if space and (space in self.spaces or self._open(space)):
            self.serving = space

    def _open(self, name: str) -> bool:
        """Opens a space that was promoted after this service started, if its model lies beside its index."""
        beside = next(iter(self.spaces.values())).space.files
        state = beside.state.with_name(name)
        if not (self.config.open_new and (state / "model").is_dir()):
            return False
        try:
            files = SpaceFiles(name, beside.feast_home, state / "model", state)
            space = self._opened(files)
        except PinclipError as error:
            logging.getLogger("ray.serve").warning("The space %s cannot be served: %s", name, error)
            return False
        self.spaces = self.spaces | {name: ServedSpace(space, self.config)}
        return True

    def measure(self) -> bytes:
        """Sets the gauges of /metrics."""
        for name, served in self.spaces.items():
            self.metrics.pins.labels(name).set(len(served.space.index))
            self.metrics.unsaved.labels(name).set(served.space.index.unsaved)
        return self.metrics.text()
