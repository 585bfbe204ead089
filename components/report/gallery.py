"""Pins to look at: what was retrieved for a query, and what the random walks call neighbours.

Only the pictures on the page are ever held: the catalogue is streamed and the ids that are wanted are picked out.
"""

import base64
import io
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.config import PrepareConfig
from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.data.images.decoding import UnreadableImage, open_image

THUMBNAIL = 96  # pixels of the longer side
EXAMPLES = 6  # queries shown a task
RESULTS = 10  # results shown a query
STARTS = 5  # Pins whose neighbours are shown
NEIGHBOURS = 8  # neighbours shown a Pin
TEXT_LENGTH = 120  # characters of a Pin's text that reach the page


@dataclass(frozen=True)
class Picture:
    pin_id: str
    text: str  # its first text signal, "" where it has none
    uri: str | None  # a data URI; None where the image does not open


@dataclass(frozen=True)
class Result:
    picture: Picture | None  # None: the result is a text
    text: str
    score: float
    hit: bool


@dataclass(frozen=True)
class Example:
    """One query, a Pin or words, and what came back, Pins or texts, best first."""

    query: Picture | None
    words: str
    results: list[Result]
    relevant: int  # Pins that would have been right

    @property
    def of_texts(self) -> bool:
        return any(result.picture is None for result in self.results)

    @property
    def hits(self) -> int:
        return sum(result.hit for result in self.results)


@dataclass(frozen=True)
class Neighbourhood:
    start: Picture
    neighbours: list[tuple[Picture, float]]  # (Pin, weight), heaviest first


def sample_neighbours(folder: Path, pin_ids: pa.ChunkedArray, seed: int) -> dict[str, list[tuple[str, float]]]:
    """A few Pins drawn by `seed`, each with its heaviest mined neighbours and their weights.

    folder: holds neighbours.parquet (pin int32, neighbour int32, weight float32); numbers are rows of `pin_ids`.
    """
    path = folder / "neighbours.parquet"
    rows = pc.unique(pq.read_table(path, columns=["pin"])["pin"]).to_pylist()
    chosen = sorted(random.Random(seed).sample(sorted(rows), min(STARTS, len(rows))))
    edges = pq.read_table(path, filters=[("pin", "in", chosen)]) if chosen else pa.table({"pin": []})
    sample: dict[str, list[tuple[str, float]]] = {}
    for pin in chosen:
        own = edges.filter(pc.equal(edges["pin"], pin)).sort_by([("weight", "descending")]).slice(0, NEIGHBOURS)
        pairs = zip(own["neighbour"].to_pylist(), own["weight"].to_pylist(), strict=True)
        sample[pin_ids[pin].as_py()] = [(pin_ids[neighbour].as_py(), weight) for neighbour, weight in pairs]
    return sample


def shown(examples: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The part of examples.json that the page has room for."""
    return {
        task: [{**entry, "results": entry["results"][:RESULTS]} for entry in entries[:EXAMPLES]]
        for task, entries in examples.items()
        if entries
    }


def shown_ids(examples: dict[str, list[dict[str, Any]]], sample: dict[str, list[tuple[str, float]]]) -> set[str]:
    """Every pin_id that the page shows."""
    entries = [entry for task in examples.values() for entry in task]
    items = [item for entry in entries for item in (entry["query"], *entry["results"])]
    ids = {item["pin_id"] for item in items if "pin_id" in item}
    return ids | set(sample) | {neighbour for pairs in sample.values() for neighbour, _ in pairs}


def pictures(catalogue: Catalogue, pin_ids: Iterable[str], limits: PrepareConfig) -> dict[str, Picture]:
    """Streams the catalogue and keeps thumbnail and text of the named Pins; an unknown id has no picture."""
    found = {pin_id: Picture(pin_id, "", None) for pin_id in pin_ids}
    wanted = pa.array(list(found), pa.string())
    for batch in catalogue.batches("pins", ["pin_id", "image", *TEXT_SIGNALS], rows=256):
        rows = batch.filter(pc.is_in(batch["pin_id"], value_set=wanted))
        texts = [joined_texts(rows[signal].to_pylist()) for signal in TEXT_SIGNALS]
        for pin_id, image, *signals in zip(rows["pin_id"].to_pylist(), rows["image"].to_pylist(), *texts, strict=True):
            text = next((text for text in signals if text), "")
            found[pin_id] = Picture(pin_id, shortened(text), thumbnail(image, limits))
    return found


def example(entry: dict[str, Any], found: dict[str, Picture]) -> Example:
    """One entry of examples.json with its pictures."""
    query = entry["query"]
    results = [
        Result(found.get(item.get("pin_id")), shortened(item.get("text", "")), item["score"], item["hit"])
        for item in entry["results"]
    ]
    return Example(found.get(query.get("pin_id")), query.get("text", ""), results, entry["relevant"])


def neighbourhood(start: str, pairs: list[tuple[str, float]], found: dict[str, Picture]) -> Neighbourhood:
    return Neighbourhood(found[start], [(found[pin_id], weight) for pin_id, weight in pairs])


def thumbnail(data: bytes, limits: PrepareConfig) -> str | None:
    try:
        image = open_image(data, limits)
    except UnreadableImage:
        return None
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=72, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def shortened(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 1].rstrip() + "…"
