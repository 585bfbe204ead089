"""What is compared of a Pin: the facts of its image and its texts, one row a Pin, without the Pin's name.

`script` is the writing system that most letters of a Pin's texts are of, "none" where there are none. `refused` is why
a Pin cannot be used, "no" where it can; a refused Pin has no other facts.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.data.images.decoding import FACTS

IMAGE = {name: fact["unit"] for name, fact in FACTS.items() if fact["unit"]}
LABELS = ("format", "script", "refused")
NUMBERS = (*(name for name in IMAGE if name not in LABELS), *(f"{name}_length" for name in TEXT_SIGNALS), "texts")
UNITS = {
    **IMAGE,
    "texts": "text signals that say something",
    "script": "that most letters are of",
    "refused": "why a Pin cannot be used",
    **{f"{name}_length": "characters" for name in TEXT_SIGNALS},
    "annotations_length": "annotations",
}
KEPT = 20_000  # rows of a reference: the margin of a fact is then under 2 %


def drift_facts(prepared: Path) -> pa.Table:
    """pin_id, NUMBERS and LABELS of every row that the prepare step has judged, in a prepared folder."""
    facts = pq.read_table(prepared / "facts.parquet")
    pins = Catalogue(prepared / "catalogue").read("pins", ["pin_id", *TEXT_SIGNALS])
    place = pc.index_in(facts["pin_id"].filter(facts["kept"]), value_set=pins["pin_id"].combine_chunks())
    scripts = np.full(facts.num_rows, None, dtype=object)
    texts = [joined_texts(pins[name].take(place).to_pylist()) for name in TEXT_SIGNALS]
    scripts[facts["kept"].to_numpy()] = [script(words) for words in zip(*texts, strict=True)]
    columns = {"pin_id": facts["pin_id"], **{name: _of_kept(facts, name) for name in (*NUMBERS, "format")}}
    columns |= {"script": pa.array(scripts, pa.string()), "refused": pc.fill_null(facts["refused"], "no")}
    return pa.table(columns)


def some(pin_ids: Sequence[str], count: int) -> np.ndarray:
    """Positions of `count` of the ids, ascending; the same ids give the same sample, whatever their order.

    Drawn by a digest of the id, so that two catalogues with Pins in common have samples with Pins in common.
    """
    digests = np.array([int.from_bytes(blake2b(p.encode(), digest_size=8).digest()) for p in pin_ids], dtype=np.uint64)
    return np.sort(np.argsort(digests, kind="stable")[:count])


def script(texts: Sequence[str]) -> str:
    """LATIN of a title in Spanish, HIRAGANA or CJK of one in Japanese, none of a number."""
    found = Counter(_script_of(letter) for text in texts for letter in text if letter.isalpha())
    return min(found, key=lambda name: (-found[name], name)).lower() if found else "none"


@cache
def _script_of(letter: str) -> str:
    """The first word of the letter's name in Unicode."""
    return unicodedata.name(letter, "unnamed").split()[0]


def _of_kept(facts: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.if_else(facts["kept"], facts[name], None)
