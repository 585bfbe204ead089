"""What is searched for: the ids of Pins and users, and what their catalogues say of them: texts, pictures, boards.

Logs, pages and documents may hold a text or a thumbnail without the id. A text is theirs where no other Pin of the
catalogue has it; a query where it led to no other Pin; a title of a user's board where no other user has such a board
and nobody else searched for it. A user's id is looked for in columns and keys alone: in texts it may be a word. The
catalogues are erased last, so that a call that is repeated after a kill still knows all of it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from components.report.gallery import shortened, thumbnail
from model.config import PrepareConfig
from model.data.board_titles import titles_of
from model.data.catalogue import TEXT_SIGNALS, Catalogue, owners
from model.data.cleaning import clean, clean_query, clean_texts
from model.data.reading import read_table, table_batches

SCRUBBED = "[forgotten]"
LEAST = 6  # characters of a text that is searched for within others
PINS_AT_ONCE = 256


class Board(NamedTuple):
    """A board with rows of a user: tables may hold it by a number, and are told which it is by its Pins."""

    board_id: str
    pins: frozenset[str]  # all of it
    theirs: frozenset[str]  # saved by the user


@dataclass(frozen=True)
class Pins:
    ids: tuple[str, ...]
    texts: frozenset[str] = frozenset()  # as written and as cleaned, that no other Pin has; and queries
    shared: frozenset[str] = frozenset()  # texts that others have as well
    pictures: frozenset[str] = frozenset()  # thumbnails, as the report shows them
    images: tuple[bytes, ...] = field(default=(), repr=False)
    users: tuple[str, ...] = ()
    titles: frozenset[str] = frozenset()  # of boards of theirs; among the texts, but searched for as a whole alone
    boards: frozenset["Board"] = frozenset()  # of theirs

    @cached_property
    def id_set(self) -> frozenset[str]:
        return frozenset(self.ids)

    @cached_property
    def user_set(self) -> frozenset[str]:
        return frozenset(self.users)

    @cached_property
    def as_bytes(self) -> tuple[bytes, ...]:
        return tuple(pin_id.encode() for pin_id in self.ids)

    def may_be_in(self, text: str) -> bool:
        """Whether a closer look is worth it."""
        marks = (*self.ids, *self.users, *self.texts, *self._pages, *self.pictures)
        return any(mark in text for mark in marks)

    def shows(self, shown: str) -> bool:
        """Whether a picture, its title or a line of a page is theirs; a text that others share counts too: a page has
        no id to tell them apart."""
        return shown in self.pictures or shown in self.id_set or shown in self._spoken

    def scrubbed(self, text: str, escaped: bool = False) -> tuple[str, int]:
        """(the text with SCRUBBED for each of their ids and texts, how many there were)"""
        if text in self.texts:
            return SCRUBBED, 1
        passages = self._escaped_passages if escaped else self._passages
        return passages.subn(SCRUBBED, text) if passages else (text, 0)

    @cached_property
    def _spoken(self) -> frozenset[str]:
        return frozenset(one for text in self.texts | self.shared for one in (text, shortened(text)))

    @cached_property
    def _pages(self) -> tuple[str, ...]:
        """Texts as a page writes them."""
        return tuple(one for text in self._spoken for one in (escape(text), shortened(text)))

    @cached_property
    def _marks(self) -> list[str]:
        return [*self.ids, *(text for text in self.texts - self.titles if len(text) >= LEAST)]

    @cached_property
    def _passages(self) -> re.Pattern[str] | None:
        return _pattern(self._marks)

    @cached_property
    def _escaped_passages(self) -> re.Pattern[str] | None:
        marks = self._marks
        return _pattern([*marks, *map(escape, marks), *map(shortened, marks)])


def described(ids: Sequence[str], catalogues: Iterable[Path], users: Sequence[str] = ()) -> Pins:
    """The Pins and users with what the catalogues say of them.

    Raises:
        CatalogueError: a catalogue cannot be read.
    """
    texts, shared, pictures, images = set[str](), set[str](), set[str](), list[bytes]()
    titles, boards, wanted = set[str](), set[Board](), pa.array(list(ids), pa.string())
    for path in catalogues:
        source = Catalogue(path)
        own, others = _texts(source, wanted, images) if ids else (set(), set())
        own |= _queries(source, wanted)
        if users:
            forms = ((title, clean(title), clean_query(title)) for title in titles_of(source, users))
            named = {form for one in forms for form in one if form}
            titles, boards, own = titles | named, boards | _boards(source, users), own | named
        texts, shared = texts | own, shared | (own & others)
    limits = PrepareConfig()
    pictures = {uri for image in images if (uri := thumbnail(image, limits))}
    found = frozenset(texts - shared), frozenset(shared), frozenset(pictures), tuple(images)
    return Pins(tuple(ids), *found, tuple(users), frozenset(titles - shared), frozenset(boards))


def _texts(source: Catalogue, wanted: pa.Array, images: list[bytes]) -> tuple[set[str], set[str]]:
    """(texts of the wanted Pins, those of them that others have too); the wanted Pins' images are added to `images`."""
    own, others = set[str](), set[str]()
    signals = [name for name in TEXT_SIGNALS if name in source.columns("pins")]
    for rows in table_batches(source, "pins", ["pin_id", "image", *signals], PINS_AT_ONCE):
        found = rows.filter(pc.fill_null(pc.is_in(rows["pin_id"], value_set=wanted), False))
        images += [image for image in found["image"].to_pylist() if image]
        own.update(form for named in found.select(signals).to_pylist() for form in _forms(named))
    if own:
        for rows in table_batches(source, "pins", ["pin_id", *signals], 16 * PINS_AT_ONCE):
            rest = rows.filter(pc.invert(pc.fill_null(pc.is_in(rows["pin_id"], value_set=wanted), False)))
            others.update(form for named in rest.select(signals).to_pylist() for form in _forms(named) if form in own)
    return own, others


def _forms(named: dict[str, str | list[str] | None]) -> set[str]:
    """A Pin's texts as written, joined and cleaned."""
    parts = {one for value in named.values() for one in (value if isinstance(value, list) else [value]) if one}
    return parts | set(clean_texts(named).values())


def _boards(source: Catalogue, users: Sequence[str]) -> set[Board]:
    """Boards that hold rows of the users."""
    rows = read_table(source, "boards", ["board_id", "pin_id", "user_id"])
    whole, theirs = dict[str, set[str]](), dict[str, set[str]]()
    told = zip(rows["board_id"].to_pylist(), rows["pin_id"].to_pylist(), owners(rows).to_pylist(), strict=True)
    for board, pin, owner in told:
        whole.setdefault(board, set()).add(pin)
        if owner in users:
            theirs.setdefault(board, set()).add(pin)
    return {Board(board, frozenset(whole[board]), frozenset(pins)) for board, pins in theirs.items()}


def _queries(source: Catalogue, wanted: pa.Array) -> set[str]:
    """Queries that led to the wanted Pins alone."""
    if not source.shards("queries"):
        return set()
    rows = read_table(source, "queries", ["query", "pin_id"])
    theirs = pc.fill_null(pc.is_in(rows["pin_id"], value_set=wanted), False)
    others = set(rows.filter(pc.invert(theirs))["query"].to_pylist())
    queries = set(rows.filter(theirs)["query"].to_pylist()) - others
    return {form for query in queries if query for form in (query, clean_query(query)) if form}


def _pattern(marks: Sequence[str]) -> re.Pattern[str] | None:
    """Whole words: pin-1 is not found in pin-10. None where there is nothing to look for."""
    longest = sorted({mark for mark in marks if mark}, key=len, reverse=True)
    if not longest:
        return None
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])")
