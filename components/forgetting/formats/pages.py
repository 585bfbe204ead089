"""Passages of Pins in pages and text: an example of the report with a thumbnail or a text of theirs goes whole."""

import re
from html import unescape

from components.forgetting.pins import Pins

ARTICLE = re.compile(r"<article class=\"example\">.*?</article>\s*", re.DOTALL)
SHOWN = re.compile(r"(?:title|alt|src)=\"([^\"]*)\"|dir=\"auto\">([^<]*)<")


def cleaned(text: str, pins: Pins) -> tuple[str, int]:
    """(the text without the Pins, examples and passages taken out)"""
    gone = 0

    def left(match: re.Match[str]) -> str:
        nonlocal gone
        theirs = any(pins.shows(unescape(one or other)) for one, other in SHOWN.findall(match[0]))
        gone += theirs
        return "" if theirs else match[0]

    if "<article" in text:
        text = ARTICLE.sub(left, text)
    text, scrubbed = pins.scrubbed(text, escaped="<html" in text[:2000])
    return text, gone + scrubbed
