"""Image bytes from cells, named files and files named by the Pin; and what must not be read."""

import base64

import pytest
from pictures import encoded as picture
from PIL import Image

from model.sources.importer.images import ImageFinder
from model.sources.importer.values.cells import BadValue


def encoded(kind):
    return picture(Image.new("RGB", (4, 4), "red"), kind)


PNG = encoded("PNG")
AS_TEXT = base64.b64encode(PNG).decode()


@pytest.fixture
def finder(tmp_path):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "images" / "a.png").write_bytes(PNG)
    (tmp_path / "images" / "B.JPG").write_bytes(encoded("JPEG"))
    (tmp_path / "images" / "sub" / "c.webp").write_bytes(encoded("WEBP"))
    return ImageFinder(tmp_path / "images", limit=1000)


def test_where_bytes_come_from(finder):
    assert finder.of_cell(PNG) == PNG
    assert finder.of_cell("a.png") == PNG
    assert finder.of_cell(str(finder.folder / "a.png")) == PNG
    assert finder.of_cell({"bytes": PNG, "path": None}) == PNG
    assert finder.of_cell({"bytes": None, "path": "a.png"}) == PNG
    assert finder.of_pin("a") == PNG
    assert finder.of_pin("B") == encoded("JPEG")
    assert finder.of_pin("sub/c") == finder.of_pin("c") == encoded("WEBP")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_each_format_is_taken(finder, kind):
    assert finder.of_cell(encoded(kind)) == encoded(kind)


@pytest.mark.parametrize("name", ["0.jpg", "0.JPEG", "0.Jpg", "0.jfif", "0.JPE", "0.Png", "0.TIFF", "0.Avif"])
def test_endings_in_any_case(tmp_path, name):
    (tmp_path / name).write_bytes(PNG)
    assert ImageFinder(tmp_path, 1000).of_pin("0") == PNG
    assert ImageFinder(tmp_path, 1000).of_pin(name) == PNG


def test_of_several_files_the_first_ending_counts(tmp_path):
    for name in ("0.txt", "0", "0.bmp", "0.jpg", "v1.2.png", "7", "8.txt"):
        (tmp_path / name).write_bytes(encoded("JPEG") if name == "0.jpg" else PNG)
    finder = ImageFinder(tmp_path, 1000)
    assert finder.of_pin("0") == encoded("JPEG")
    assert finder.of_pin("v1.2") == PNG
    for pin_id in ("v1", "", "7", "8"):
        with pytest.raises(BadValue, match="no image file is named by this pin_id"):
            finder.of_pin(pin_id)


def test_folders_below_are_looked_through(tmp_path):
    for name in ("a/x/1.png", "a/1.png", "b/2.png", "3.png", "b/3.png", ".git/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    finder = ImageFinder(tmp_path, 1000)
    for pin_id in ("2", "3", "b/3", "a/1", "a/x/1"):
        assert finder.of_pin(pin_id) == PNG
    for pin_id, reason in (("1", "several folders"), ("4", "no image file")):
        with pytest.raises(BadValue, match=reason):
            finder.of_pin(pin_id)


@pytest.mark.parametrize("name", [r"sub\c.webp", r".\sub\c.webp", r"sub\/c.webp"])
def test_the_other_systems_separators(finder, name):
    assert finder.of_cell(name) == encoded("WEBP")


def test_a_backslash_that_is_part_of_the_name(finder):
    (finder.folder / r"a\b.png").write_bytes(PNG)
    assert finder.of_cell(r"a\b.png") == PNG


def wrapped(letters):
    return "\n".join(letters[i : i + 76] for i in range(0, len(letters), 76))


@pytest.mark.parametrize(
    "cell",
    [
        AS_TEXT,
        AS_TEXT.encode(),
        wrapped(AS_TEXT),
        AS_TEXT.rstrip("="),
        base64.urlsafe_b64encode(PNG).decode(),
        f"data:image/png;base64,{AS_TEXT}",
        f"  DATA:image/png;name=a.png;base64,{wrapped(AS_TEXT)}",
        {"bytes": AS_TEXT, "path": None},
    ],
)
def test_pictures_as_text(finder, cell):
    as_text = ImageFinder(finder.folder, 1000, is_base64=True)
    assert as_text.of_cell(cell) == PNG
    with pytest.raises(BadValue, match=r"looks like base64; write {column: image, encoding: base64}"):
        finder.of_cell(cell)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_base64_of_each_format_is_noticed(finder, kind):
    with pytest.raises(BadValue, match="looks like base64"):
        finder.of_cell(base64.b64encode(encoded(kind)).decode())


@pytest.mark.parametrize("name", ["BMW", "Qk0", "iVBORw0KGgo", "a" * 100, "images/" + "x" * 80, "R0lGODlh.gif"])
def test_names_are_no_base64(finder, name):
    with pytest.raises(BadValue, match="no such image file"):
        finder.of_cell(name)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (None, "no image"),
        ("", "no image"),
        ("a.png", "no base64"),
        ("*" * 80, "no base64"),
        ("aGVsbG8gd29ybGQ=", "unknown image format"),
        (AS_TEXT * 100, "larger than 1,000 bytes"),
        (base64.b64encode(PNG + bytes(1000)).decode(), "larger than 1,000 bytes"),
        (7.5, "no base64"),
    ],
)
def test_text_that_is_no_picture(finder, cell, reason):
    with pytest.raises(BadValue, match=reason):
        ImageFinder(finder.folder, 1000, is_base64=True).of_cell(cell)


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
        (r"..\secret.png", "leaves its folder"),
        (r"gone\a.png", r"no such image file \(its path has backslashes\)"),
        (r"C:\images\a.png", r"its path has backslashes"),
        ("a\0.png", "no valid path"),
        ("x" * 5000, "no valid path"),
        ("https://example.org/a.png", "web address"),
    ],
)
def test_refused(finder, cell, reason):
    with pytest.raises(BadValue, match=reason):
        finder.of_cell(cell)


def test_empty_and_oversized_files(finder):
    (finder.folder / "empty.png").touch()
    (finder.folder / "big.png").write_bytes(PNG + bytes(1000))
    for pin_id, reason in (("empty", "is empty"), ("big", "larger"), ("gone", "named by this")):
        with pytest.raises(BadValue, match=reason):
            finder.of_pin(pin_id)


def test_a_link_in_the_folder_is_its_owners(finder, tmp_path):
    """DVC and Hugging Face link each file to a cache beside or far away from the folder."""
    cache = tmp_path / "cache" / "files" / "md5" / "ab"
    cache.mkdir(parents=True)
    (cache / "cdef").write_bytes(PNG)
    (finder.folder / "link.png").symlink_to(cache / "cdef")
    (finder.folder / "sub" / "relative.png").symlink_to("../../cache/files/md5/ab/cdef")
    (finder.folder / "linked").symlink_to(cache)
    assert finder.of_cell("link.png") == finder.of_pin("link") == PNG
    assert finder.of_cell("sub/relative.png") == finder.of_pin("relative") == PNG
    assert finder.of_cell("linked/cdef") == PNG
    folder = tmp_path / "elsewhere"
    folder.symlink_to(finder.folder)
    assert ImageFinder(folder, 1000).of_cell(str(folder / "a.png")) == PNG
    assert ImageFinder(folder, 1000).of_cell(str(finder.folder / "a.png")) == PNG


def test_links_are_no_way_out_for_a_table(finder, tmp_path):
    (tmp_path / "other" / "inner").mkdir(parents=True)
    (tmp_path / "other" / "secret.png").write_bytes(PNG)
    (finder.folder / "linked").symlink_to(tmp_path / "other" / "inner")
    for name in ("linked/../secret.png", "../other/secret.png", str(tmp_path / "other" / "secret.png")):
        with pytest.raises(BadValue):
            finder.of_cell(name)
    (finder.folder / "loop.png").symlink_to(finder.folder / "loop.png")
    (finder.folder / "gone.png").symlink_to(tmp_path / "absent.png")
    for name in ("loop.png", "gone.png"):
        with pytest.raises(BadValue):
            finder.of_cell(name)
    with pytest.raises(BadValue, match="no image file is named"):
        finder.of_pin("../secret")
