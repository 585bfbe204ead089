"""How many values a JSON text has, counted without building one: a parser would need a hundred times its bytes."""

import re

# Escaped characters of a string, each with some text behind it; in steps, so that other threads may work in between.
ESCAPES = re.compile(rb'(?:\\.[^"\\]{0,256}+){1,1024}+', re.DOTALL)
SIGNS = b"[{,"


def has_more(body: bytes, most: int) -> bool:
    """Whether the text has more than `most` commas and opening brackets outside of its strings, or more strings than
    that. Text that is not JSON may get either answer."""
    place, strings, signs = 0, 0, 0
    while place < len(body):
        quote = body.find(b'"', place)
        end = quote if quote >= 0 else len(body)
        signs += sum(body.count(SIGNS[i : i + 1], place, end) for i in range(len(SIGNS)))
        strings += 1
        if signs > most or strings > 2 * most:
            return True
        place = _after_string(body, end + 1)
    return False


def _after_string(body: bytes, place: int) -> int:
    """The place behind the quote that ends the string which begins at `place`."""
    end = -1
    while True:
        if end < place:  # only then: a search for each escape would make it quadratic
            quote = body.find(b'"', place)
            end = quote if quote >= 0 else len(body)
        escape = body.find(b"\\", place, end)
        if escape < 0:
            return end + 1
        step = ESCAPES.match(body, escape)
        if step is None:  # the text ends in the middle of an escape
            return len(body)
        place = step.end()
