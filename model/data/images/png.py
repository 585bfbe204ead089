"""PNG files as Pillow should see them: the picture without its metadata.

Pillow refuses a whole picture for a text chunk that is long once unpacked or has a wrong checksum, and it misreads two
kinds of transparency. Its limits are global variables, so the file is changed and they are left alone. Chunks and
colour types: PNG specification, third edition, sections 5 and 11 (https://www.w3.org/TR/png-3/).
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT = 2**20  # bytes of a text once unpacked; Pillow's own limit
_ORIENTATION_TEXTS = (b"XML:com.adobe.xmp", b"Raw profile type exif")  # all others say nothing about the pixels
_GREY, _RGB = 0, 2  # colour types
_TRANSPARENT_BYTES = {_GREY: 2, _RGB: 6}  # one 16-bit number a channel, whatever the bit depth


def without_metadata(data: bytes) -> bytes:
    """The file with what pixels depend on: critical chunks as they are, tRNS, eXIf and texts that tell orientation.

    An ancillary chunk may have any checksum or end with the file; a broken critical chunk stays broken.
    """
    bits, colours = (*data[24:26], 0, 0)[:2]  # of the header, which may be missing
    parts = [_SIGNATURE]
    for kind, body, whole in _chunks(data):
        if _is_critical(kind):
            parts.append(whole)
        elif kind == b"tRNS":
            parts.append(_transparency(body, bits, colours))
        elif kind == b"eXIf" or _tells_orientation(kind, body):
            parts.append(_chunk(kind, body))
    return b"".join(parts)


def has_wide_transparency(data: bytes) -> bool:
    """Whether one colour of 3 x 16 bits is transparent; of such pixels Pillow keeps the high bytes only."""
    return data[24:26] == bytes((16, _RGB)) and any(kind == b"tRNS" for kind, _, _ in _chunks(data))


def wide_pixels(data: bytes) -> np.ndarray:
    """uint16 (height, width, 3) of a file of 3 x 16 bits: decoded once for the high and once for the low bytes."""
    high, low = (Image.open(io.BytesIO(data), formats=("PNG",)) for _ in range(2))
    low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
    return np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(type, body, whole chunk) up to IEND. Of a last chunk that is cut comes what there is, if it is critical."""
    place = len(_SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end <= len(data) or _is_critical(kind):
            yield kind, data[place + 8 : end - 4], data[place:end]
        if kind == b"IEND":
            return
        place = end


def _is_critical(kind: bytes) -> bool:
    return not kind[:1].islower()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _transparency(body: bytes, bits: int, colours: int) -> bytes:
    """Pillow stretches grey of 2 and 4 bits to 8, and forgets to stretch the grey that is transparent."""
    if len(body) < _TRANSPARENT_BYTES.get(colours, 0):
        return b""
    if colours == _GREY and bits in (2, 4):
        body = struct.pack(">H", (body[1] & (2**bits - 1)) * 255 // (2**bits - 1))
    return _chunk(b"tRNS", body)


def _tells_orientation(kind: bytes, body: bytes) -> bool:
    """Whether it is such a text, and one that Pillow can unpack."""
    keyword, _, rest = body.partition(b"\0")
    if keyword not in _ORIENTATION_TEXTS or kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return False
    if kind == b"iTXt":  # packed or not, method, then language, translated keyword and text
        is_packed, text = rest[:2] == b"\1\0", rest[2:].split(b"\0", 2)[-1]
    else:  # method, then text
        is_packed, text = kind == b"zTXt", rest[1:]
    return _unpacks(text) if is_packed else len(text) <= _MAX_TEXT


def _unpacks(packed: bytes) -> bool:
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, _MAX_TEXT)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail
