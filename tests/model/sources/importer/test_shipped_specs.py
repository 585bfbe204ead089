"""The specs that ship: both real sets where they are at hand, and Unsplash Lite over a folder made like the dataset."""

import csv
import io
from pathlib import Path

import pytest
from PIL import Image

from model.data.catalogue import Catalogue
from model.errors import SpecError
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.reading import load_spec

ROOT = Path(__file__).parents[4]
SHARED = ROOT.parent / "shared" / "data"
PHOTOS = [
    "photo_id",
    "photo_url",
    "photo_image_url",
    "photo_submitted_at",
    "photo_featured",
    "photo_width",
    "photo_height",
    "photo_aspect_ratio",
    "photo_description",
    "photographer_username",
    "photo_location_country",
    "stats_views",
    "ai_description",
    "blur_hash",
]


@pytest.mark.parametrize(
    ("name", "counts", "columns"),
    [
        (
            "emoji",
            {"pins": 9823, "boards": 47622, "queries": 47622},
            ["pin_id", "image", "title", "annotations", "group_id", "slice_group", "slice_vendor"],
        ),
        (
            "pomological",
            {"pins": 7580, "boards": 24457, "queries": 12434},
            ["pin_id", "image", "title", "group_id", "slice_artist", "slice_species"],
        ),
    ],
)
def test_real_sets(tmp_path, name, counts, columns):
    data = SHARED / name
    if not data.is_dir():
        pytest.skip(f"{data} is not there")
    report = import_catalogue(load_spec(ROOT / "specs" / f"{name}.yaml", data), tmp_path / name)
    catalogue = Catalogue(tmp_path / name)
    assert {table: catalogue.count(table) for table in counts} == counts
    assert catalogue.columns("pins") == columns
    assert report.quarantined == 0
    assert {row["table"]: row["read"] for row in report.rows()}["boards"] in (81011, 24457)


def table(path, header, rows, delimiter):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerows([header, *rows])


def photo(number, header):
    cells = {
        "photo_id": f"-photo{number}",
        "photo_submitted_at": f"2019-07-{number + 1:02d} 16:44:09.56789",
        "photo_description": 'A "wide",\nview' if number == 0 else "",
        "photographer_username": f"user{number % 2}",
        "photo_location_country": "Norway" if number == 0 else "",
        "ai_description": f"caption {number}",
    }
    return [cells.get(name, "") for name in header]


def dataset(root, suffix, delimiter, without=()):
    """Photos in two shards, the last one without an image file; `without`: columns and tables of later versions."""
    header = [name for name in PHOTOS if name not in without]
    (root / "images").mkdir(parents=True)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    for number in range(3):
        (root / "images" / f"-photo{number}.jpg").write_bytes(buffer.getvalue())
    table(root / f"photos.{suffix}000", header, [photo(0, header), photo(1, header)], delimiter)
    table(root / f"photos.{suffix}001", header, [photo(2, header), photo(3, header)], delimiter)
    keywords = [("-photo0", "hill", "20.5"), ("-photo0", "fjord", "99"), ("-photo0", "trip", ""), ("-photo3", "x", "1")]
    table(root / f"keywords.{suffix}000", ["photo_id", "keyword", "ai_service_1_confidence"], keywords, delimiter)
    collected = [("-photo0", 7, "Norge", "2020-01-01 00:00:00"), ("-photo1", 7, "Norge", ""), ("-photo3", 7, "", "")]
    header = ["photo_id", "collection_id", "collection_title", "photo_collected_at"]
    table(root / f"collections.{suffix}000", header, collected, delimiter)
    header = ["converted_at", "conversion_type", "keyword", "photo_id", "anonymous_user_id", "conversion_country"]
    found = ["fjord", "fjord", "", "sea"]
    clicks = [("2020-01-01 00:00:00", "download", word, "-photo0", f"u{n}", "NO") for n, word in enumerate(found)]
    table(root / f"conversions.{suffix}000", header, clicks, delimiter)
    if "colors" not in without:
        colours = [("-photo0", "000000", "black", "0.2"), ("-photo0", "0000FF", "blue", "0.7")]
        table(root / f"colors.{suffix}000", ["photo_id", "hex", "keyword", "ai_coverage"], colours, delimiter)
    return root


def unsplash(root):
    report = import_catalogue(load_spec(ROOT / "specs" / "unsplash-lite.yaml", root), root.parent / "catalogue")
    return Catalogue(root.parent / "catalogue"), report


# The newest releases name the files .csv and still put tabs between the values.
@pytest.mark.parametrize(("suffix", "delimiter"), [("tsv", "\t"), ("csv", ","), ("csv", "\t")])
def test_unsplash_lite(tmp_path, suffix, delimiter):
    catalogue, report = unsplash(dataset(tmp_path / "unsplash", suffix, delimiter))
    columns = ["pin_id", "description", "caption", "annotations", "group_id", "slice_colour", "slice_country"]
    assert catalogue.read("pins", columns).to_pylist()[0] == {
        "pin_id": "-photo0",
        "description": 'A "wide",\nview',
        "caption": "caption 0",
        "annotations": ["fjord", "hill", "trip"],
        "group_id": "user0",
        "slice_colour": "blue",
        "slice_country": "Norway",
    }
    assert [str(time)[:19] for time in catalogue.read("pins", ["created_at"])["created_at"].to_pylist()] == [
        "2019-07-01 16:44:09",
        "2019-07-02 16:44:09",
        "2019-07-03 16:44:09",
    ]
    assert catalogue.read("boards", ["board_id", "pin_id", "title"]).to_pylist() == [
        {"board_id": "7", "pin_id": "-photo0", "title": "Norge"},
        {"board_id": "7", "pin_id": "-photo1", "title": "Norge"},
    ]
    assert catalogue.read("queries", ["query", "pin_id", "clicks"]).to_pylist() == [
        {"query": "fjord", "pin_id": "-photo0", "clicks": 2},
        {"query": "sea", "pin_id": "-photo0", "clicks": 1},
    ]
    rows = {row["table"]: row for row in report.rows()}
    assert rows["pins"]["reason"] == "1 × no image file is named by this pin_id; line breaks within values: 1"
    assert report.quarantined == 2  # the photo and its place in a collection


def test_unsplash_of_an_older_version(tmp_path):
    older = ("photo_description", "ai_description", "photo_location_country", "blur_hash", "colors")
    catalogue, report = unsplash(dataset(tmp_path / "unsplash", "tsv", "\t", without=older))
    assert catalogue.columns("pins") == ["pin_id", "image", "annotations", "group_id", "created_at", "slice_colour"]
    rows = {row["table"]: row for row in report.rows()}
    assert rows["slices.colour"]["reason"] == "no file matches colors.tsv*, colors.csv*"
    assert "ai_description is missing in 2 of 2 files" in rows["pins"]["reason"]


def test_unsplash_in_the_wrong_folder(tmp_path):
    with pytest.raises(SpecError, match=r"matches photos\.tsv\*, photos\.csv\*"):
        unsplash(tmp_path)
