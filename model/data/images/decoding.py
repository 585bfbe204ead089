"""Image bytes from strangers into pixels: limits are read from the header before anything is decoded.

open_image(data)             ->  an RGB picture, upright, transparency on white
to_pixels(data, 64, limits)  ->  uint8 (64, 64, 3), as the image tower reads it
image_facts(data)            ->  what is known of the bytes, decodable or not; never raises
"""

import hashlib
import io
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from PIL import Image

from model.config import PrepareConfig
from model.data.images.colours import as_rgb, wide_as_rgb
from model.data.images.formats import format_of, missing_reader, written_size
from model.data.images.jpeg import closed, lacks_end
from model.data.images.png import has_wide_transparency, wide_pixels, without_metadata

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_ORIENTATION_TAG = 0x0112
# EXIF orientation 1..8 -> what makes the picture upright; 1 and nonsense need nothing.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DRAFT_MARGIN = 2  # a JPEG is decoded at no less than this many times the side asked for
_FACTS_SIDE = 64  # brightness and contrast are measured on a square of this side


class ImageLimits(Protocol):
    """The settings of PrepareConfig that an image is held against."""

    @property
    def max_image_bytes(self) -> int: ...
    @property
    def max_image_pixels(self) -> int: ...
    @property
    def min_image_side(self) -> int: ...


class UnreadableImage(Exception):
    """`reason`: "empty", "too many bytes", "unknown format", "no reader for HEIF", "too many pixels", "too small"
    or "truncated"."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.place: int | None = None  # position among the images that were read together


def _fact(column: pa.DataType, unit: str = "") -> Any:
    """A column of facts.parquet; with a unit, monitoring watches it for drift."""
    return field(metadata={"column": column, "unit": unit})


@dataclass(frozen=True)
class ImageFacts:
    """One image, measured. Where the header could not be read, format, width and height are null."""

    decodable: bool
    reason: str | None  # why it was refused
    format: str | None = _fact(pa.string(), "of the image")
    width: int | None = _fact(pa.int32(), "pixels")  # as stored
    height: int | None = _fact(pa.int32(), "pixels")
    bytes: int = _fact(pa.int64(), "of the image, as stored")
    sha256: str = _fact(pa.string())
    brightness: float | None = _fact(pa.float32(), "mean luma, 0 to 1")
    contrast: float | None = _fact(pa.float32(), "standard deviation of the luma")  # in [0, 0.5]


FACTS = {one.name: one.metadata for one in fields(ImageFacts) if one.metadata}  # column and unit by name


def open_image(data: bytes, limits: PrepareConfig | None = None) -> Image.Image:
    """The whole picture as RGB, upright, transparency composed on white; of an animation the first frame.

    Raises:
        UnreadableImage: the bytes are no image within the limits.
    """
    return _decode(_open(data, limits or PrepareConfig()))


def to_pixels(data: bytes, size: int, limits: ImageLimits) -> np.ndarray:
    """uint8 (size, size, 3): the whole picture squeezed into the square, antialiased, as SigLIP reads it.

    Raises:
        UnreadableImage: the bytes are no image within the limits.
    """
    return np.asarray(_squeezed(_open(data, limits), size))


def image_facts(data: bytes, limits: PrepareConfig | None = None) -> ImageFacts:
    """Measures the image; one that cannot be read says why in `reason`."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        opened = _open(data, limits or PrepareConfig())
    except UnreadableImage as error:
        return ImageFacts(False, error.reason, None, None, None, len(data), digest, None, None)
    header = (opened.format, *opened.image.size)  # read now: decoding as a draft changes `size`
    try:
        luma = np.asarray(_squeezed(opened, _FACTS_SIDE).convert("L"), dtype=np.float64) / 255
    except UnreadableImage as error:
        return ImageFacts(False, error.reason, *header, len(data), digest, None, None)
    return ImageFacts(True, None, *header, len(data), digest, float(luma.mean()), float(luma.std()))


@dataclass(frozen=True)
class _Opened:
    """An image whose header was read: `data` is what Pillow reads, without the metadata that it would refuse."""

    data: bytes
    format: str
    image: Image.Image


def _open(data: bytes, limits: ImageLimits) -> _Opened:
    """Reads the header only, and holds it against the limits."""
    if not data:
        raise UnreadableImage("empty")
    if len(data) > limits.max_image_bytes:
        raise UnreadableImage("too many bytes", f"{len(data):,}")
    name = format_of(data)
    if name is None:
        raise UnreadableImage("unknown format")
    if install := missing_reader(name):
        raise UnreadableImage(f"no reader for {name}", install)
    if name == "PNG":
        data = without_metadata(data)
    image = _header(data, name)
    width, height = image.size
    if width * height > limits.max_image_pixels:
        raise UnreadableImage("too many pixels", f"{width}x{height}")
    if min(width, height) < limits.min_image_side:
        raise UnreadableImage("too small", f"{width}x{height}")
    return _Opened(data, name, image)


def _header(data: bytes, name: str) -> Image.Image:
    if name == "HEIF":
        from pillow_heif import register_heif_opener  # an extra of this project

        register_heif_opener()
    try:
        return Image.open(io.BytesIO(data), formats=(name,))
    except _BOMBS:
        raise UnreadableImage("too many pixels") from None
    except Exception:  # plugins raise any exception for broken bytes
        if 0 in (size := written_size(data, name)):
            raise UnreadableImage("too small", "x".join(map(str, size))) from None
        raise UnreadableImage("truncated") from None


def _squeezed(opened: _Opened, size: int) -> Image.Image:
    # A JPEG decoder halves for free while it decodes: much faster, and the resize below still has pixels to average.
    draft = (size * _DRAFT_MARGIN, size * _DRAFT_MARGIN)
    return _decode(opened, draft).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=float(_DRAFT_MARGIN))


def _decode(opened: _Opened, draft: tuple[int, int] | None = None) -> Image.Image:
    image = opened.image
    try:
        if opened.format == "JPEG" and lacks_end(opened.data):
            image = _header(closed(opened.data), "JPEG")
        if draft:
            image.draft(None, draft)
        image.load()
        is_wide = opened.format == "PNG" and has_wide_transparency(opened.data)
        picture = wide_as_rgb(wide_pixels(opened.data), image.info["transparency"]) if is_wide else as_rgb(image)
    except Exception:  # the bytes end early or make no sense; Pillow names it in a dozen ways
        raise UnreadableImage("truncated") from None
    turn = _UPRIGHT.get(_orientation(image))
    return picture if turn is None else picture.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none; a picture with broken EXIF is still a picture."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        return 1
