"""The image formats that are read, and how each is known: by the first bytes of a file, never by its name."""

import struct
from importlib.util import find_spec

from PIL import features

# Names are Pillow's. HEIF is what phones write as .heic; its reader is the optional package pillow-heif.
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "HEIF": "image/heic",
}
FORMATS = tuple(MEDIA_TYPES)
# Of file names, in the order in which a file is chosen where several have the same name.
ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"),
    *(".avif", ".tif", ".tiff", ".heic", ".heif"),
)
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}
HEIF_READER = "pip install pillow-heif"
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def format_of(data: bytes) -> str | None:
    """One of FORMATS, None for any other beginning; whether the rest can be decoded is not looked at."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _of_brands(data)
    return next((name for start, name in _SIGNATURES.items() if data.startswith(start)), None)


def written_size(data: bytes, name: str) -> tuple[int, ...]:
    """(width, height) of a PNG, GIF or BMP by its header, for one that Pillow refuses; () where there is none."""
    layout, place = {"PNG": (">II", 16), "GIF": ("<HH", 6), "BMP": ("<ii", 18)}.get(name, ("", 0))
    return struct.unpack_from(layout, data, place) if len(data) >= place + struct.calcsize(layout) else ()


def missing_reader(name: str) -> str | None:
    """What to install before the format can be decoded here; None where it can."""
    if name == "HEIF" and find_spec("pillow_heif") is None:
        return HEIF_READER
    if name == "AVIF" and not features.check("avif"):
        return "pip install --upgrade pillow"
    return None


def _of_brands(data: bytes) -> str | None:
    """AVIF and HEIF are one container (ISO/IEC 14496-12): the brands of its first box tell them apart."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[place : place + 4] for place in range(16, size, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None
