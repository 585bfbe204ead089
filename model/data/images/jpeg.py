"""JPEG files that lack their end marker: whole pictures get one, pictures that end early stay broken.

Markers and segments: ITU-T T.81, annex B.
"""

import hashlib
import io
import random
import re

from PIL import Image

_END, _SCAN = b"\xff\xd9", b"\xff\xda"
_FRAMES = {0xC0, 0xC1, 0xC2}  # sequential and progressive DCT: what libjpeg-turbo decodes
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
# The next marker in entropy-coded data, which writes its own 0xFF as FF 00 and may hold restarts.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_COEFFICIENTS = 64  # of a block
_NOISE_BYTES = 64
_GUESSES = 8  # continuations that are tried: most pictures that end early differ in the second


def lacks_end(data: bytes) -> bool:
    """Whether no end marker follows the last scan; a thumbnail's before it does not count."""
    return not data.endswith(_END) and data.rfind(_END) < data.rfind(_SCAN)


def closed(data: bytes) -> bytes:
    """The file with the end marker that it lacks, or as it is where part of the picture is missing too.

    libjpeg silently fills in what is missing, so the picture is decoded with several continuations: all of it is
    there if none of its pixels depends on them.
    """
    data = _without_padding(data)
    if not _has_all_scans(data):
        return data
    first = _digest(data, guess=0)
    is_whole = all(_digest(data, guess) == first for guess in range(1, _GUESSES))
    return data + _END if is_whole else data


def _without_padding(data: bytes) -> bytes:
    """A download that stopped may be filled with zeros to its size: they would be decoded as a picture."""
    trimmed = data.rstrip(b"\0")
    if trimmed.endswith(b"\xff") and len(trimmed) < len(data):
        return trimmed + b"\0"  # FF 00 is a byte of the picture
    return trimmed.rstrip(b"\xff")


def _digest(data: bytes, guess: int) -> bytes:
    """Of the pixels, with noise where data may be missing: at the end, and behind any restart marker awaited there."""
    noise = random.Random(guess).randbytes(_NOISE_BYTES).replace(b"\xff", b"")
    restarts = [bytes((0xFF, 0xD0 + number)) for number in range(8)]
    continued = data + b"".join(start + noise for start in (b"", *restarts)) + _END
    with Image.open(io.BytesIO(continued), formats=("JPEG",)) as image:
        return hashlib.sha256(image.tobytes()).digest()


def _has_all_scans(data: bytes) -> bool:
    """Whether every coefficient of every component was sent to its last bit: a progressive file has several scans."""
    missing: dict[int, list[int]] = {}  # component -> bits still to come of each coefficient
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place + 4 : place + 2 + length]
        if marker in _FRAMES and len(segment) > 5:
            missing = {component: [99] * _COEFFICIENTS for component in segment[6::3]}
        place += 2 if marker in _BARE else 2 + length
        if marker == _SCAN[1] and len(segment) > 5:
            first, end, bits = segment[-3], segment[-2] + 1, segment[-1] & 0x0F
            for component in segment[1:-3:2]:
                missing.get(component, [])[first:end] = [bits] * (end - first)
            following = _MARKER.search(data, place)
            place = following.start() if following else len(data)
    return bool(missing) and not any(any(bits) for bits in missing.values())
