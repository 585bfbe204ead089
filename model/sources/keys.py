"""One id in two spellings: `100` and `100.0` (pandas, where one id was missing), or two Unicode forms of one name."""

import re
import unicodedata
from collections.abc import Mapping

WHOLE = re.compile(r"(-?\d+)\.0+")


def plain(key: str) -> str:
    """The spelling under which two forms of one id meet."""
    whole = WHOLE.fullmatch(key) if key[-1:] == "0" else None
    if whole:
        return whole[1]
    return key if key.isascii() else unicodedata.normalize("NFC", key)


class Spellings:
    """Finds ids of a mapping as they are written there, else in another spelling that only one of them has."""

    def __init__(self, known: Mapping[str, object]) -> None:
        self._known = known
        self._plain: dict[str, str | None] | None = None  # made when the first id is not found as written

    def find(self, key: str) -> str | None:
        """The id as the mapping has it; None where there is none, or two."""
        if key in self._known:
            return key
        if self._plain is None:
            self._plain = {}
            for each in self._known:
                form = plain(each)
                if form != each:
                    self._plain[form] = each if form not in self._plain else None
        form = plain(key)
        return form if form in self._known else self._plain.get(form)

    def example(self, key: str) -> str:
        """For the message about an id that is not there: it beside one that is."""
        known = next(iter(self._known), None)
        return f", e.g. {key!r}, while pin_id are like {known!r}" if known is not None else ""
