"""Image bytes from cells, named files and files named by the Pin; and what must not be read."""

import io

import pytest
from PIL import Image

from model.sources.images import ImageFinder, is_image
from model.sources.values import BadValue


def encoded(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, kind)
    return buffer.getvalue()


PNG = encoded("PNG")


@pytest.fixture
def finder(tmp_path):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "images" / "a.png").write_bytes(PNG)
    (tmp_path / "images" / "B.JPG").write_bytes(encoded("JPEG"))
    (tmp_path / "images" / "sub" / "c.webp").write_bytes(encoded("WEBP"))
    return ImageFinder(tmp_path / "images", limit=1000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_formats_known_by_their_first_bytes(kind):
    assert is_image(encoded(kind))


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"RIFF1234WAVE", encoded("TIFF")])
def test_other_formats_are_unknown(data):
    assert not is_image(data)


def test_where_bytes_come_from(finder):
    assert finder.of_cell(PNG) == PNG
    assert finder.of_cell("a.png") == PNG
    assert finder.of_cell(str(finder.folder / "a.png")) == PNG
    assert finder.of_cell({"bytes": PNG, "path": None}) == PNG
    assert finder.of_cell({"bytes": None, "path": "a.png"}) == PNG
    assert finder.of_pin("a") == PNG
    assert is_image(finder.of_pin("B"))
    assert is_image(finder.of_pin("sub/c"))


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (None, "no image"),
        (float("nan"), "no image"),
        ({"bytes": None, "path": None}, "no image"),
        (b"", "the image is empty"),
        (b"<svg/>", "unknown image format"),
        (PNG + bytes(1000), "larger than 1,000 bytes"),
        ("absent.png", "no such image file"),
        ("sub", "no such image file"),
        ("../secret.png", "leaves its folder"),
        ("sub/../../secret.png", "leaves its folder"),
        ("/etc/passwd", "leaves its folder"),
        ("a\0.png", "no valid path"),
        ("x" * 5000, "no valid path"),
        ("https://example.org/a.png", "web address"),
    ],
)
def test_refused(finder, cell, reason):
    with pytest.raises(BadValue, match=reason):
        finder.of_cell(cell)


def test_empty_oversized_and_linked_files(finder, tmp_path):
    (finder.folder / "empty.png").touch()
    (finder.folder / "big.png").write_bytes(PNG + bytes(1000))
    (finder.folder / "link.png").symlink_to(tmp_path / "secret.png")
    (finder.folder / "loop.png").symlink_to(finder.folder / "loop.png")
    for pin_id, reason in (("empty", "is empty"), ("big", "larger"), ("link", "leaves"), ("gone", "named by this")):
        with pytest.raises(BadValue, match=reason):
            finder.of_pin(pin_id)
    with pytest.raises(BadValue):
        finder.of_cell("loop.png")
    with pytest.raises(BadValue, match="leaves"):
        finder.of_pin("../secret")
