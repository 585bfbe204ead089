"""What no id of a Pin or board may hold: an id is a key in every store, a line of a file and a part of a web address.

Push, import, prepare and `pinclip forget` refuse the same.
"""

import re

CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"  # the inside of a character class: control characters, line separators
HOLDS_CONTROL = "holds a line break or another control character"
_FOUND = re.compile(f"[{CONTROL}]")


def holds_control(written: str) -> bool:
    return not written.isprintable() and _FOUND.search(written) is not None
