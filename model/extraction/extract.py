"""The pass of the frozen towers over a prepared catalogue: what is not kept yet is computed, on all cores or nodes.

    extraction.json   for "images" and "texts", where their towers are kept: the folder of the records, the tower, the
                      shape of a record, and how many contents were found there and how many are new

The records of all catalogues and runs stand in one store, by tower (model/extraction/records.py).
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from model.config import Config
from model.cpus import cpus
from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.data.cleaning import clean_query
from model.data.images.decoding import to_pixels
from model.extraction.records import Records, keys_of_hex, text_keys, write_part
from model.extraction.runtime import BLOCK, Images, Sentences, image_runner, sentence_runner
from model.files import write_json
from model.network.joined import image_tower_key, text_tower_key
from model.network.towers.opening import open_tower
from model.network.towers.words import load_tokenizer
from model.parallel import Each, in_turn

TEXTS = 4096  # of a part
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Work:
    """What is to be computed: the keys of the contents that are not kept yet."""

    images: np.ndarray  # numbers of the Pins, in the catalogue's order
    texts: list[str]


def extract(
    prepared: Path,
    store: Path,
    out: Path,
    config: Config,
    report: Progress = lambda fraction, message: None,
    each: Each = in_turn,
) -> dict[str, Any]:
    """Writes extraction.json above to `out` and returns it; {} where no tower is kept.

    `each` works on parts of the catalogue (model/parallel.py): whoever does must see `prepared` and `store`.

    Raises:
        ModelError: a tower cannot be used, or its records are damaged.
    """
    facts = {}
    if config.vision.kept:
        facts["images"] = _images(prepared.absolute(), store.absolute(), config, report, each)
    if config.text.kept:
        facts["texts"] = _texts(prepared.absolute(), store.absolute(), config, report, each)
    write_json(out, facts)
    return facts


def catalogue_texts(prepared: Path) -> list[str]:
    """Every distinct text that a tower is asked for: those of Pins, queries and boards, sorted."""
    catalogue, found = Catalogue(prepared / "catalogue"), set[str]()
    for name in TEXT_SIGNALS:
        for batch in catalogue.batches("pins", [name], rows=4096):
            found.update(joined_texts(batch.column(name).to_pylist()))
    queries = catalogue.read("queries", ["query"])["query"].to_pylist()
    found.update(queries, map(clean_query, queries), catalogue.read("boards", ["title"])["title"].to_pylist())
    return sorted(text for text in found if text)


def image_keys(prepared: Path) -> np.ndarray:
    """uint8 (Pins, 32): the keys of the images, in the catalogue's order."""
    facts = pq.read_table(prepared / "facts.parquet", columns=["kept", "sha256"])
    return keys_of_hex(facts.filter(facts["kept"])["sha256"].to_pylist())


def _images(prepared: Path, store: Path, config: Config, report: Progress, each: Each) -> dict[str, Any]:
    tower = open_tower("vision", config.vision, None)
    key, shape = image_tower_key(tower, config.vision), (config.vision.grid**2, tower.width)
    keys = image_keys(prepared)
    missing = Records(store / key, key, shape).find(keys) < 0
    work = ImageParts(prepared, store / key, key, config, keys, missing)
    done, total = 0, int(missing.sum())
    for count in each(work, _shards(prepared, missing)):
        done += count
        report(done / total, f"{done:,} of {total:,} images")
    return _facts(store / key, key, shape, total, len(keys))


def _texts(prepared: Path, store: Path, config: Config, report: Progress, each: Each) -> dict[str, Any]:
    tower, words = open_tower("text", config.text, None), load_tokenizer(config.text)
    key, shape = text_tower_key(tower, words, config.text), (tower.width,)
    texts = catalogue_texts(prepared)
    found = Records(store / key, key, shape).find(text_keys(texts))
    # Texts of like length pack well, and one process works on each part.
    missing = sorted((text for text, number in zip(texts, found, strict=True) if number < 0), key=len)
    done, parts = 0, [missing[i : i + TEXTS] for i in range(0, len(missing), TEXTS)]
    for count in each(TextParts(store / key, key, config), parts):
        done += count
        report(done / len(missing), f"{done:,} of {len(missing):,} texts")
    return _facts(store / key, key, shape, len(missing), len(texts))


@dataclass(frozen=True)
class Shard:
    """A shard of the catalogue and the number of its first Pin."""

    path: Path
    first: int


@dataclass
class ImageParts:
    """work(shard) adds what its images lack; returns their number. The tower is opened once a process."""

    prepared: Path
    folder: Path
    tower: str
    config: Config
    keys: np.ndarray
    missing: np.ndarray

    @cached_property
    def run(self) -> Images:
        return image_runner(self.config, self.folder)

    def __call__(self, shard: Shard) -> int:
        rows, records = [], []
        decode = partial(to_pixels, size=self.config.vision.image_size, limits=self.config.prepare)
        with ThreadPoolExecutor(cpus()) as pool:
            for numbers, images in self._asked(shard):
                records.append(self.run(np.stack(list(pool.map(decode, images)))).to(torch.bfloat16))
                rows.append(numbers)
        if rows:
            keys = self.keys[np.concatenate(rows)]
            name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
            write_part(self.folder, name, self.tower, keys, torch.cat(records))
        return sum(map(len, rows))

    def _asked(self, shard: Shard) -> Iterator[tuple[np.ndarray, list[bytes]]]:
        """(numbers of the Pins, their images), those alone whose record is missing."""
        first, catalogue = shard.first, Catalogue(self.prepared / "catalogue")
        for batch in catalogue.batches("pins", ["image"], BLOCK, [shard.path]):
            numbers = first + np.flatnonzero(self.missing[first : first + batch.num_rows])
            if len(numbers):
                yield numbers, batch.column("image").take(numbers - first).to_pylist()
            first += batch.num_rows


@dataclass
class TextParts:
    """work(texts) adds their records; returns their number."""

    folder: Path
    tower: str
    config: Config

    @cached_property
    def run(self) -> Sentences:
        return sentence_runner(self.config)

    def __call__(self, texts: list[str]) -> int:
        blocks = [self.run(texts[i : i + BLOCK]) for i in range(0, len(texts), BLOCK)]
        keys = text_keys(texts)
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
        write_part(self.folder, name, self.tower, keys, torch.cat(blocks))
        return len(texts)


def _shards(prepared: Path, missing: np.ndarray) -> list[Shard]:
    """The shards that lack anything."""
    shards, first = [], 0
    for path in Catalogue(prepared / "catalogue").shards("pins"):
        rows = pq.read_metadata(path).num_rows
        if missing[first : first + rows].any():
            shards.append(Shard(path.absolute(), first))
        first += rows
    return shards


def _facts(folder: Path, tower: str, shape: tuple[int, ...], new: int, total: int) -> dict[str, Any]:
    return {"folder": str(folder), "tower": tower, "shape": list(shape), "new": new, "found": total - new}
