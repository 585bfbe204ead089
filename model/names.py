"""Names in a sentence: of a thousand columns nobody reads more than a few.

listed(["id", "titel", …], like="title")  ->  "titel, id, … and 980 more"
"""

from collections.abc import Iterable
from difflib import SequenceMatcher

SHOWN = 20  # names in one sentence
LONGEST = 60  # characters of one of them: a header that was not split is one long name


def listed(names: Iterable[str], like: str = "") -> str:
    """All names in their order; where there are more than SHOWN, those most like `like`."""
    names = list(names)
    if len(names) <= SHOWN:
        return ", ".join(map(shortened, names))
    shown = (sorted(names, key=_Likeness(like)) if like else names)[:SHOWN]
    return f"{', '.join(map(shortened, shown))}, … and {len(names) - SHOWN:,} more"


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}…"


class _Likeness:
    """A key for sorting: the most alike first."""

    def __init__(self, like: str) -> None:
        self._matcher = SequenceMatcher(b=like.lower())  # what it finds out of its second text it keeps

    def __call__(self, name: str) -> float:
        self._matcher.set_seq1(name[:LONGEST].lower())
        return -self._matcher.ratio()
