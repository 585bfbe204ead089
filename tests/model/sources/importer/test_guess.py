"""Guessed specs of the tables that shops have, and of both real sets, imported as they are."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from model.data.catalogue import Catalogue
from model.errors import SpecError
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.guess.samples import read_samples
from model.sources.importer.guess.spec_writer import guess
from model.sources.importer.spec.reading import load_spec

SHARED = Path(__file__).parents[5] / "shared" / "data"


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def imported(root, tables):
    """(the guessed spec as a tree, the catalogue it gives)."""
    text = guess(tables, root)
    spec = root.parent / "guessed.yaml"
    spec.write_text(text, encoding="utf-8")
    import_catalogue(load_spec(spec, root), root.parent / "out")
    return yaml.safe_load(text), Catalogue(root.parent / "out")


@pytest.fixture
def shop(tmp_path):
    root = tmp_path / "shop"
    (root / "photos").mkdir(parents=True)
    for number in range(4):
        (root / "photos" / f"p{number}.jpg").write_bytes(picture())
    rows = [
        f"{n + 100};table {n};a table;p{n}.jpg;oak|wood;{'acme' if n % 2 else 'oak'};{20 + n}/4/2021" for n in range(4)
    ]
    header = "SKU;Product Name;Description;Photo;Tags;Brand;Created At"
    (root / "products.csv").write_text("\n".join([header, *rows]) + "\n")
    return root


def test_a_shop_of_text_files(shop):
    (shop / "carts.csv").write_text(
        "cart_id,product,added_at\n" + "".join(f"{n // 2},{n + 100}.0,1614834367\n" for n in range(4))
    )
    (shop / "searches.tsv").write_text("query\tsku\tclicks\ntable\t100\t3\nlamp\t103\t1\n")
    (shop / "stores.csv").write_text("town,manager\nOslo,Kari\n")
    tree, catalogue = imported(
        shop, [shop / name for name in ("products.csv", "carts.csv", "searches.tsv", "stores.csv")]
    )
    assert tree["pins"] == {
        "table": "products.csv",
        "pin_id": "SKU",
        "image": {"column": "Photo", "folder": "photos"},
        "title": "Product Name",
        "description": "Description",
        "annotations": {"column": "Tags", "separator": "|"},
        "created_at": {"column": "Created At", "format": "%d/%m/%Y"},
        "slices": {"Brand": "Brand"},
    }
    assert tree["boards"] == [
        {
            "table": "carts.csv",
            "board_id": "cart_id",
            "pin_id": "product",
            "saved_at": {"column": "added_at", "format": "s"},
        }
    ]
    assert tree["queries"] == [{"table": "searches.tsv", "query": "query", "pin_id": "sku", "clicks": "clicks"}]
    assert [catalogue.count(table) for table in ("pins", "boards", "queries")] == [4, 4, 2]
    assert "stores.csv is not used" in guess([shop / "products.csv", shop / "stores.csv"], shop)


def test_whose_boards_they_are(shop):
    rows = "".join(f"{n // 2},customer-{n % 2},{n + 100}\n" for n in range(4))
    (shop / "carts.csv").write_text(f"cart_id,customer_id,sku\n{rows}")
    tree, catalogue = imported(shop, [shop / "products.csv", shop / "carts.csv"])
    assert tree["boards"] == [{"table": "carts.csv", "board_id": "cart_id", "pin_id": "sku", "user_id": "customer_id"}]
    assert set(catalogue.read("boards", ["user_id"])["user_id"].to_pylist()) == {"customer-0", "customer-1"}


def test_pictures_named_by_the_pin_and_a_table_of_words(tmp_path):
    root = tmp_path / "photos"
    (root / "images").mkdir(parents=True)
    for number in range(3):
        (root / "images" / f"{number}.png").write_bytes(picture())
    for part in range(2):
        rows = range(2) if part == 0 else range(2, 3)
        (root / f"photos.tsv00{part}").write_text("photo_id\tdescription\n" + "".join(f"{n}\tview {n}\n" for n in rows))
    (root / "keywords.tsv").write_text("photo_id\tkeyword\tconfidence\n0\thill\t9\n1\tfjord\t8\n")
    tree, catalogue = imported(root, [root / "photos.tsv000", root / "photos.tsv001", root / "keywords.tsv"])
    assert tree["pins"]["image"] == {"folder": "images"}
    assert tree["pins"]["annotations"]["by"] == "confidence"
    assert catalogue.read("pins", ["annotations"])["annotations"].to_pylist() == [["hill"], ["fjord"], []]


def test_json_lines_parquet_and_stray_quotes(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    items = {
        "uuid": ["a", "b", "c"],
        "picture": [picture()] * 3,
        "title": ["x", "y", "z"],
        "tags": ['["a"]', "[]", None],
    }
    pq.write_table(pa.table(items), root / "items.parquet")
    (root / "lists.jsonl").write_text("".join(json.dumps({"list": 1, "item": key}) + "\n" for key in "abc"))
    (root / "boards.csv").write_text('board_id,uuid,name\n1,a,"open\n1,b,x\n2,c,close"\n')
    tree, catalogue = imported(root, [root / "items.parquet", root / "lists.jsonl", root / "boards.csv"])
    assert tree["pins"]["annotations"] == "tags"
    assert [board.get("quotes") for board in tree["boards"]] == [None, "none"]
    assert [board.get("prefix") for board in tree["boards"]] == [None, "boards-"]
    assert catalogue.count("boards") == 6


@pytest.mark.parametrize(("name", "counts"), [("emoji", [9823, 81011]), ("pomological", [7580, 24457])])
def test_real_sets(tmp_path, name, counts):
    data = SHARED / name
    if not data.is_dir():
        pytest.skip(f"{data} is not there")
    spec = tmp_path / "spec.yaml"
    spec.write_text(guess([data / "items.parquet", data / "boards.parquet"], data), encoding="utf-8")
    import_catalogue(load_spec(spec, data), tmp_path / "out")
    assert [Catalogue(tmp_path / "out").count(table) for table in ("pins", "boards")] == counts


def test_what_cannot_be_guessed(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,1\n1,1\n")
    with pytest.raises(SpecError, match="none of the tables looks like Pins"):
        guess([tmp_path / "a.csv"], tmp_path)
    with pytest.raises(SpecError, match="There is no file"):
        guess([tmp_path / "b.csv"], tmp_path)
    (tmp_path / "c.csv").write_text("x,y\n")
    with pytest.raises(SpecError, match="holds no rows"):
        guess([tmp_path / "c.csv"], tmp_path)


def test_pictures_beside_the_table_come_first(tmp_path):
    for folder in ("test", "train"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(picture())
        (tmp_path / folder / "2.png").write_bytes(picture())
    (tmp_path / "train" / "metadata.csv").write_text("file_name,caption\n1.png,a red lamp\n2.png,an oak table\n")
    text = guess([tmp_path / "train" / "metadata.csv"], tmp_path)
    assert yaml.safe_load(text)["pins"] == {
        "table": "train/metadata.csv",
        "pin_id": "file_name",
        "image": {"column": "file_name", "folder": "train"},
        "caption": "caption",
    }
    assert "files of these names in test too: choose" in text


def test_what_is_not_used_is_named(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(picture())
    (tmp_path / "artikel.csv").write_text(
        "nr;bild;marke;angelegt\n1;images\\1.jpg;x;2021-03-01\n2;b.jpg;x;2021-03-02\n"
    )
    text = guess([tmp_path / "artikel.csv"], tmp_path)
    assert yaml.safe_load(text)["pins"]["image"] == {"column": "bild", "folder": "."}
    assert "# not used: marke, angelegt; times: angelegt" in text


MYSQL = (
    "id\ttitle\tdescription\tfile\n1\tA\\tB\ta\\nb\t1.png\n2\tC:\\\\x\t\\N\t2.png\n3\tover\\\ntwo lines\t\\N\t3.png\n"
)


def test_escapes_of_mysql(tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    for number in range(1, 4):
        (root / f"{number}.png").write_bytes(picture())
    (root / "items.tsv").write_text(MYSQL)
    (root / "words.tsv").write_text("id\tkeyword\n1\tred\\\\blue\n2\t\\N\n")
    tree, catalogue = imported(root, [root / "items.tsv", root / "words.tsv"])
    assert (tree["pins"]["quotes"], tree["pins"]["escape"]) == ("none", "\\")
    assert catalogue.read("pins", ["title"])["title"].to_pylist() == ["A\tB", "C:\\x", "over\ntwo lines"]
    assert catalogue.read("pins", ["annotations"])["annotations"].to_pylist() == [["red\\blue"], [], []]


@pytest.mark.parametrize(
    ("rows", "quotes", "escape"),
    [
        (["1,a", "2,b"], '"', None),
        (["1,images\\1.jpg", "2,\\N"], '"', None),  # a path of Windows and a missing value
        (["1,new\\table", "2,b"], '"', None),
        (["1,\\N", "2,b"], '"', None),  # a missing value needs no escape
        (['1,"a \\"red\\" lamp"', "2,b"], '"', "\\"),
        (['1,"a ""red"" lamp"', "2,b"], '"', None),
        (["1,a\\, b", "2,b"], None, "\\"),
        (['1,"open', "2,b", '3,close"', "4,c"], None, None),
    ],
)
def test_how_a_table_is_written(tmp_path, rows, quotes, escape):
    (tmp_path / "t.csv").write_text("\n".join(["id,title", *rows]) + "\n")
    (sample,) = read_samples([tmp_path / "t.csv"], tmp_path)
    assert (sample.dialect.quotes, sample.dialect.escape) == (quotes, escape)


def test_a_column_that_may_name_boards_is_named(shop):
    (shop / "lists.csv").write_text("row,sku,wishlist,wishlist_name\n0,100,w1,a\n1,101,w1,a\n2,102,w2,b\n3,103,w2,b\n")
    text = guess([shop / "products.csv", shop / "lists.csv"], shop)
    assert "boards" not in yaml.safe_load(text)
    assert "If column wishlist groups Pins as people do, write boards: {table: lists.csv, board_id: wishlist, " in text
    (shop / "stock.csv").write_text("sku,shelf\n100,1\n101,2\n102,3\n")
    assert "If a column groups Pins as people do" in guess([shop / "products.csv", shop / "stock.csv"], shop)
