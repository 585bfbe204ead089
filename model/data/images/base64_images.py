"""Pictures as base64 text, alone or as `data:image/png;base64,…`."""

import base64
import re

from model.data.images.formats import format_of

_DATA_URI = re.compile(r"^data:[\w.+/;=-]{0,200};base64,", re.IGNORECASE)
_LETTERS = re.compile(r"[A-Za-z0-9+/]+")
_HEAD = 344  # letters that are enough to know a format: 258 bytes
_SHORTEST = 64  # letters: no picture is shorter, file names without an ending may well be


def decoded(written: str) -> bytes:
    """The bytes; line breaks, the URL-safe letters and a missing `=` at the end are as good.

    Raises:
        ValueError: it is no base64.
    """
    letters = _letters(written)
    return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)


def looks_like_base64(cell: str | bytes) -> bool:
    """A data URI, or letters that decode to the beginning of a picture."""
    if isinstance(cell, bytes) and format_of(cell):
        return False
    head = cell[:_HEAD]
    if isinstance(head, bytes):
        head = head.decode("ascii", "replace")
    if _DATA_URI.match(head.lstrip()):
        return True
    letters = _letters(head)
    if len(letters) < _SHORTEST or not _LETTERS.fullmatch(letters):
        return False
    return format_of(base64.b64decode(letters[: len(letters) // 4 * 4])) is not None


def _letters(written: str) -> str:
    """Without what stands around the data, in the standard alphabet."""
    body = _DATA_URI.sub("", written.lstrip(), count=1)
    return "".join(body.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
