"""The routes under /v1, each a method: read, ask the space, answer. Shape legend: N candidates · R sets ·
E vector dimension"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypeVar

import numpy as np
import pyarrow as pa
from fastapi import Query, Request, Response
from pydantic_core import from_json

from model.diversification import ssd
from model.diversification.candidates import SIGNALS, Candidates
from model.diversification.config import DiversificationConfig
from model.embedding.affine import unit_length
from model.tags.evidence import NEIGHBOURS
from serving.service.messages import (
    ColumnsOut,
    Completed,
    CompleteIn,
    Filter,
    FilterIn,
    Found,
    PinOut,
    PinsOut,
    Related,
    RerankIn,
    RerankOut,
    Results,
    SearchIn,
    Shown,
    Spaced,
    SpaceOut,
    SpacesOut,
    StartOut,
    TagsIn,
    TagsOut,
)
from serving.service.reading import (
    Given,
    RequestRefused,
    given_of,
    message_of,
    new_pin,
    parsed,
    pins_of,
    request_pixels,
    words,
)
from serving.service.served_spaces import ServedSpace, ServedSpaces

R = TypeVar("R")
FILTER = 2_000  # characters in an address, of which the HTTP server takes 64 KiB
READERS = 2  # threads that read bodies and decode pictures
SpaceName = Annotated[str | None, Query(max_length=128)]


class Routes:
    def __init__(self, served: ServedSpaces) -> None:
        self.served, self.config = served, served.config
        # Threads of their own for what callers send: searches and snapshots do not wait for them.
        self._readers = ThreadPoolExecutor(READERS, "reading")

    async def add_pins(self, request: Request, space: SpaceName = None) -> PinsOut:
        """Encodes Pins and stores them: when this answers, ranking reads their vectors and search finds them."""
        chosen = self.served.space(space)
        content_type = request.headers.get("content-type", "")
        given = await self._read(pins_of, await request.body(), content_type, self.config)
        new = [await self._read(new_pin, pin, chosen.space.encoder, self.config) for pin in given]
        accepted = await asyncio.gather(*map(chosen.accept, new))
        pins = [
            PinOut(pin_id=pin.pin_id, stored=one.stored, vector=one.vector_E.tolist())
            for pin, one in zip(new, accepted, strict=True)
        ]
        return PinsOut(space=chosen.space.name, pins=pins)

    async def related(
        self,
        pin_id: str,
        k: Annotated[int, Query(ge=1)] = 30,
        filter: Annotated[str | None, Query(max_length=FILTER, description="JSON, as of a search.")] = None,
        space: SpaceName = None,
    ) -> Related:
        """The Pins nearest to a Pin."""
        chosen, asked = self.served.space(space), _filter(filter)
        vectors, missing = chosen.space.index.vectors([pin_id])
        if missing[0]:
            raise RequestRefused(404, f"The space {chosen.space.name} has no Pin {pin_id!r}.")
        found = await self._found(chosen, vectors[0], k, [pin_id], asked)
        return Related(space=chosen.space.name, pin=self._shown(pin_id), results=found)

    async def complete(self, request: Request, space: SpaceName = None) -> Completed:
        """The Pins that go with those of a basket or a board: the nearest to their mean, but for themselves."""
        chosen = self.served.space(space)
        asked = await self._read(message_of, CompleteIn, await request.body(), self.config)
        basket = list(dict.fromkeys(asked.pins))
        vectors_NE, missing_N = chosen.space.index.vectors(basket)
        if missing_N.all():
            raise RequestRefused(404, f"The space {chosen.space.name} has none of the Pins of the basket.")
        # The mean of a candidate's cosines with all Pins of the board: no other way to ask completed more
        # (docs/results.md, "Complete the look").
        mean_E = unit_length(vectors_NE[~missing_N].mean(axis=0, keepdims=True))[0]
        found = await self._found(chosen, mean_E, asked.k, basket, asked.filter)
        missing = [pin_id for pin_id, gone in zip(basket, missing_N, strict=True) if gone]
        return Completed(space=chosen.space.name, results=found, missing=missing)

    async def search(self, request: Request, space: SpaceName = None) -> Results:
        """The Pins nearest to words, to an image, or to both."""
        chosen = self.served.space(space)
        asked = await self._read(message_of, SearchIn, await request.body(), self.config)
        found = await self._found(chosen, await self._vector(chosen, asked), asked.k, (), asked.filter)
        return Results(space=chosen.space.name, results=found)

    async def tags(self, request: Request, space: SpaceName = None) -> TagsOut:
        """The catalogue's own words that fit a picture, texts, or both."""
        chosen = self.served.space(space)
        asked = await self._read(message_of, TagsIn, await request.body(), self.config)
        given = await self._read(given_of, asked, chosen.space.encoder, self.config)
        nearest = await chosen.nearest(await chosen.given(given), NEIGHBOURS)
        fitting, name = self.served.tags.fitting, chosen.space.name
        found, why = await asyncio.to_thread(fitting, name, chosen.tag_calibration, given.what, nearest, asked.k)
        return TagsOut(space=name, tags=found, why=why)

    async def rerank(self, request: Request, space: SpaceName = None) -> RerankOut:
        """Puts candidates in an order that does not repeat itself."""
        chosen = self.served.space(space)
        asked = await self._read(message_of, RerankIn, await request.body(), self.config)
        if len(asked.candidates) > self.config.max_candidates:
            raise RequestRefused(413, f"Send at most {self.config.max_candidates:,} candidates.")
        order, missing = await asyncio.to_thread(self._reranked, chosen, asked)
        return RerankOut(space=chosen.space.name, results=[asked.candidates[i] for i in order], missing=missing)

    def _reranked(self, chosen: ServedSpace, asked: RerankIn) -> tuple[np.ndarray, list[str]]:
        """(candidates by number, first slot first; ids of those without a vector)"""
        ids, weights = [candidate.pin_id for candidate in asked.candidates], asked.weights
        vectors_NE, missing_N = chosen.space.index.vectors(ids)
        candidates = Candidates(
            np.array([one.utility for one in asked.candidates]),
            visual=vectors_NE,
            **self.served.signals.of(ids, chosen.space.encoder.limits.min_board_pins),
            ids=_semantic_ids(chosen, vectors_NE, missing_N) if weights.semantic_id else None,
            spaced=self._spaced(ids, asked.spaced),
        )
        shares = {name: getattr(weights, name) for name in SIGNALS}
        settings = DiversificationConfig(
            asked.beta, asked.window, exposure=asked.exposure, prefix_cost=weights.semantic_id, **shares
        )
        order = ssd.rerank(candidates, asked.slots or len(ids), settings)
        return order, [pin_id for pin_id, gone in zip(ids, missing_N, strict=True) if gone]

    def _spaced(self, ids: list[str], sets: Sequence[Spaced]) -> np.ndarray:
        """float64 (N, R): what a Pin of each set costs, 0 where it is not in the set."""
        found, costs_NR = pa.array(ids, pa.large_string()), np.zeros((len(ids), len(sets)))
        for place, one in enumerate(sets):
            if only := self.served.columns.selection(one.filter):
                costs_NR[:, place] = one.cost * only.mask(found)
        return costs_NR

    async def image(self, pin_id: str) -> Response:
        """The image of a Pin of the catalogue."""
        found = await asyncio.to_thread(self.served.pictures.image, pin_id)
        if found is None:
            raise RequestRefused(404, f"The catalogue has no Pin {pin_id!r}.")
        headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return Response(found[0], media_type=found[1], headers=headers)

    async def spaces(self) -> SpacesOut:
        """The spaces that can be asked; `serving` is the one meant where none is named."""
        rows = [
            SpaceOut(name=name, pins=len(one.space.index), dim=one.space.affine.dim, encoder=one.space.encoder.name)
            for name, one in self.served.spaces.items()
        ]
        return SpacesOut(serving=self.served.serving, spaces=rows)

    async def columns(self) -> ColumnsOut:
        """The columns that a filter may name."""
        return ColumnsOut(columns=await asyncio.to_thread(self.served.columns.described))

    async def start(self, count: Annotated[int, Query(ge=1, le=100)] = 24, space: SpaceName = None) -> StartOut:
        """Some Pins and queries to begin with."""
        chosen = self.served.space(space)
        ids = self.served.pictures.spread(2 * count)  # some may have no vector: consent was not given
        _, missing_N = chosen.space.index.vectors(ids)
        there = [pin_id for pin_id, missing in zip(ids, missing_N, strict=True) if not missing]
        shown = min(count, len(there))
        pins = [self._shown(there[place * len(there) // shown]) for place in range(shown)]
        queries = self.served.popular.queries(chosen.space.encoder.limits.min_board_pins)
        return StartOut(space=chosen.space.name, pins=pins, queries=queries[:count])

    async def _read(self, function: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *arguments)

    async def _vector(self, chosen: ServedSpace, asked: SearchIn) -> np.ndarray:
        """float32 (E,)"""
        text, weight = words(asked.text, self.config), asked.image_weight
        if not text and not asked.image:
            raise RequestRefused(422, "Search for a text, an image, or both.")
        if not asked.image:
            return await chosen.words(text)
        pixels_SS3 = await self._read(request_pixels, asked.image, "the search", chosen.space.encoder, self.config)
        seen_E = await chosen.given(Given(pixels_SS3, {}))
        if not text:
            return seen_E
        return unit_length((weight * seen_E + (1 - weight) * await chosen.words(text))[None])[0]

    async def _found(
        self, chosen: ServedSpace, vector_E: np.ndarray, k: int, without: Sequence[str], asked: Filter | None
    ) -> list[Found]:
        if not 1 <= k <= self.config.max_results:
            raise RequestRefused(422, f"k is {k}; ask for 1 to {self.config.max_results} results.")
        only = await asyncio.to_thread(self.served.columns.selection, asked)
        found = await chosen.nearest(vector_E, k, without, only)
        return [Found(score=score, **self._shown(pin_id).model_dump()) for pin_id, score in found]

    def _shown(self, pin_id: str) -> Shown:
        shown = self.served.pictures
        return Shown(pin_id=pin_id, title=shown.title(pin_id), has_image=pin_id in shown)


def _semantic_ids(chosen: ServedSpace, vectors_NE: np.ndarray, missing_N: np.ndarray) -> np.ndarray | None:
    """int64 (N, L); a candidate without a vector shares no code with another. None where the space has no IDs."""
    if chosen.semantic_ids is None:
        return None
    codes_NL = chosen.semantic_ids.encode(vectors_NE).astype(np.int64)
    codes_NL[missing_N, 0] = codes_NL.max() + 1 + np.arange(missing_N.sum())
    return codes_NL


def _filter(text: str | None) -> Filter | None:
    if not text:
        return None
    try:
        return parsed(FilterIn, {"filter": from_json(text)}).filter
    except ValueError:
        raise RequestRefused(422, 'filter is no JSON; write it as {"category": "shoes"}.') from None
