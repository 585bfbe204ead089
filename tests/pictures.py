"""Pictures that tests of several folders read: encoded ones, and PNG files made chunk by chunk."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noise(height: int = 24, width: int = 20, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes = b"", checksum: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body) if checksum is None else checksum)
    )


def png(rows: list[bytes], width: int, bits: int, colours: int, before: bytes = b"", after: bytes = b"") -> bytes:
    """Packed rows of pixels, and chunks before and after them."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colours, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (chunk(b"IHDR", header), before, chunk(b"IDAT", pixels), after, chunk(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """The PNG with chunks after its header."""
    return data[:33] + b"".join(chunks) + data[33:]
