"""What no id may be: an id is a key in every store, a line of a file and, of a Pin, a part of a web address.

    pin_id_refusal("a/../b")    ->  "has a part . or .., which clients take out of a web address"
    pin_id_refusal("größe/1")   ->  None

Push, import, prepare and `pinclip forget` refuse the same: a Pin that one of them takes can be named to all others.
"""

import re

CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"  # the inside of a character class: control characters, line separators
LONGEST_ID = 512  # characters
HOLDS_CONTROL = "holds a line break or another control character"
NO_UNICODE = "is no valid Unicode"
TOO_LONG = f"is longer than {LONGEST_ID} characters"
BLANK_ENDS = "begins or ends with a space"
DOT_PARTS = "has a part . or .., which clients take out of a web address"
_CONTROL, _HALVES = re.compile(f"[{CONTROL}]"), re.compile("[\ud800-\udfff]")


def id_refusal(written: str) -> str | None:
    """Why it can be no id of a Pin or a board, as the end of a sentence."""
    if not written.isprintable():
        if _CONTROL.search(written):
            return HOLDS_CONTROL
        if _HALVES.search(written):
            return NO_UNICODE
    if len(written) > LONGEST_ID:
        return TOO_LONG
    return BLANK_ENDS if written != written.strip() else None


def pin_id_refusal(written: str) -> str | None:
    """The same of a Pin alone: its id stands in addresses (/v1/pins/{pin_id}/related)."""
    if refused := id_refusal(written):
        return refused
    return DOT_PARTS if "." in written and {".", ".."} & set(written.split("/")) else None
