"""What went wrong in a set-up, as one sentence with what to do: pip and uv explain themselves in pages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

GIB = 2**30
FULL = GIB / 4  # bytes; with less than this free nothing large was unpacked
AGAIN = "give the command again, it goes on where it was"
MIRROR = "name your mirror: PIP_INDEX_URL=https://…/simple"
UNREACHED = re.compile(
    r"Failed to fetch|Retrying|[Cc]onnection (?:broken|refused|error|reset)|resolve host|dns error|timed out"
)
LACKING = re.compile(
    r"(?:no version of|No matching distribution found for|requirement|Because) ([\w.-]+ ?(?:\[[\w,]+\])?==[\w.+]+)"
)
UNKNOWN = re.compile(r"(?:Because|that) ([\w.-]+) was not found in the package registry")
NO_SPACE = re.compile(r"`(/[^`]+)/[^`/]+`[^`]*No space left")
ADDRESS = re.compile(r"https?://[^\s`'\")]+")
PASSWORD = re.compile(r"//[^/@\s]*@")


class SetupError(Exception):
    """One sentence: what is wrong, and what to do."""


def sentence(what: str, said: str, folder: Path) -> str:
    """`what` failed, of which pip or uv `said` much; `folder` is where it was to be."""
    text = PASSWORD.sub("//…@", " ".join(re.sub(r"[│├╰─▶×]", " ", said).split()))
    if "No space left" in text or shutil.disk_usage(folder.parent).free < FULL:
        named = NO_SPACE.search(text)  # uv's cache may lie elsewhere
        return f"{what}: the disk of {named[1] if named else folder} is full; free some and {AGAIN}."
    if UNREACHED.search(text):
        place = ADDRESS.search(text)
        return f"{what}: {place[0] if place else 'the package index'} does not answer; check the network, or {MIRROR}."
    if lacking := LACKING.search(text) or UNKNOWN.search(text):
        silent = "does not answer, or " if "from versions: none" in text else ""  # pip says no more than that
        return f"{what}: the package index {silent}lacks {lacking[1]}; have your mirror fetch it, or name another: PIP_INDEX_URL=https://…/simple."
    return f"{what} ({text[-300:].strip()}); see above."
