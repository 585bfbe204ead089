"""What a column may be, by its name and by its cells; the rules behind `pinclip import --guess`."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

from model.data.images.base64_images import looks_like_base64
from model.data.images.formats import format_of
from model.sources.importer.values.cells import BadValue, text
from model.sources.importer.values.lists import texts
from model.sources.importer.values.times import UNIT_OF_DIGITS, moment

Cells = Sequence[Any]

# The first name that a table has wins.
PIN_IDS = ("pin_id", "pin", "item_id", "item", "product_id", "photo_id", "image_id", "sku", "asin", "id", "uuid", "key")
BOARD_IDS = ("board_id", "board", "collection_id", "collection", "list_id", "list", "album_id", "cart_id", "order_id",
             "basket_id", "session_id", "user_id", "customer_id")  # fmt: skip
USERS = ("user_id", "customer_id", "owner_id", "member_id", "shopper_id", "owner")
BOARD_TITLES = ("board_title", "board_name", "collection_title", "collection_name", "list_name", "title", "name")
TITLES = ("title", "name", "product_name", "item_name", "product_title", "headline", "label")
DESCRIPTIONS = ("description", "desc", "body", "body_html", "summary", "details", "text")
CAPTIONS = ("caption", "alt_text", "alt", "image_alt", "ai_description")
ANNOTATIONS = ("annotations", "tags", "keywords", "labels", "shortcodes", "categories", "attributes", "keyword", "tag")
GROUPS = ("group_id", "concept_id", "parent_id", "parent_sku", "variant_of", "family_id", "model_id", "group")
CONSENTS = ("consent", "has_consent", "opt_in")
SLICES = ("vendor", "brand", "category", "country", "language", "locale", "department", "gender", "species")
CREATED = ("created_at", "created", "published_at", "published", "submitted_at", "uploaded_at", "date", "timestamp")
SAVED = ("saved_at", "saved", "added_at", "collected_at", "created_at", "date", "time", "timestamp")
QUERIES = ("query", "search", "search_term", "search_query", "searchterm", "q", "term", "phrase", "keyword")
CLICKS = ("clicks", "click_count", "count", "n", "times", "downloads", "purchases")
WEIGHTS = ("score", "confidence", "weight", "rank", "coverage")
PICTURE = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic)$", re.IGNORECASE)
SLASHED = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2\d{4}(?P<clock>[T ]\d\d:\d\d(?P<seconds>:\d\d)?)?")


def by_name(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """The column with the first wanted name; case, blanks and hyphens do not count."""
    plain = {re.sub(r"[\s-]+", "_", name.strip()).lower(): name for name in reversed(list(names))}
    return next((plain[name] for name in wanted if name in plain), None)


def filled(cells: Cells) -> list[Any]:
    return [cell for cell in cells if cell is not None and (not isinstance(cell, str) or _text(cell))]


def image_kind(cells: Cells) -> str | None:
    """bytes, base64, path or address."""
    some = filled(cells)
    if not some:
        return None
    if isinstance(some[0], dict):
        return "bytes" if {"bytes", "path"} & set(some[0]) else None
    if all(isinstance(cell, bytes) and format_of(cell) for cell in some[:20]):
        return "bytes"
    if all(isinstance(cell, str) and looks_like_base64(cell) for cell in some[:20]):
        return "base64"
    written = [cell for cell in some if isinstance(cell, str) and PICTURE.search(cell.partition("?")[0].strip())]
    if 2 * len(written) < len(some):
        return None
    return "address" if "://" in written[0] else "path"


def is_unique(cells: Cells) -> bool:
    """Every row has a short text or number of its own."""
    found = [_text(cell) for cell in cells]
    return None not in found and len(set(found)) == len(found) and all(len(cell or "") <= 200 for cell in found)


def groups(cells: Cells, pins: Cells) -> bool:
    """Whether values stand for several Pins each, so that the column may name boards; a brand may too."""
    found: dict[str, set[str]] = {}
    for cell, pin in zip(cells, pins, strict=True):
        value, key = _text(cell), _text(pin)
        if value and key:
            found.setdefault(value, set()).add(key)
    several = sum(len(each) > 1 for each in found.values())
    return several > 0 and 2 * several >= len(found)


def list_options(cells: Cells) -> dict[str, str] | None:
    """{} for a list column or text that is read as lists anyway, {separator: …} for text to cut; None for neither."""
    some = filled(cells)
    if some and all(isinstance(cell, list) for cell in some):
        return {}
    written = [cell.strip() for cell in some if isinstance(cell, str)]
    if not written or len(written) < len(some):
        return None
    if all(cell.startswith("[") and _is(lambda cell: texts(cell, format="python"), cell) for cell in written):
        return {}
    counts = {sign: sum(sign in cell for cell in written) for sign in ("|", ";", ",")}
    best = max(counts, key=counts.__getitem__)
    return {"separator": best} if 3 * counts[best] >= len(written) else None


def time_format(cells: Cells) -> str | None:
    """ "" for times that are read without a format, else the format; None where the cells are no times."""
    some = filled(cells)
    if not some or isinstance(some[0], bytes | list | dict | bool):
        return None
    if all(isinstance(cell, date) for cell in some):
        return ""
    readable = sum(_is(moment, cell) for cell in some)
    if 10 * readable >= 9 * len(some):
        digits = {len(_text(cell) or "") for cell in some if (_text(cell) or "").isdecimal()}
        return UNIT_OF_DIGITS.get(digits.pop(), "") if len(digits) == 1 else ""
    return _slashed([_text(cell) or "" for cell in some])


def _slashed(written: list[str]) -> str | None:
    """Day or month first, where one of the cells has a number above 12 in its place."""
    found = [match for match in map(SLASHED.fullmatch, written) if match]
    if len(found) < len(written):
        return None
    first, second = (max(int(match[group]) for match in found) for group in (1, 3))
    if (first > 12) == (second > 12):
        return None
    sign, clock = found[0][2], found[0]["clock"] or ""
    tail = f"{clock[0]}%H:%M{':%S' if found[0]['seconds'] else ''}" if clock else ""
    return (f"%d{sign}%m{sign}%Y" if first > 12 else f"%m{sign}%d{sign}%Y") + tail


def _text(cell: Any) -> str | None:
    try:
        return text(cell, marks=True)
    except BadValue:
        return None


def _is(read: Callable[[Any], Any], cell: Any) -> bool:
    try:
        return read(cell) is not None
    except BadValue:
        return False
