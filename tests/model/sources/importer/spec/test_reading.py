"""Specs that load, and every mistake in one with the sentence it gets."""

import pytest

from model.errors import SpecError
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Annotations, BoardTitles, Image, Lookup
from model.sources.importer.spec.reading import load_spec

GOOD = """
pins:
  table: items.parquet
  pin_id: id
  image: image
  title: title
  caption: ai_text?
  annotations: [tags, labels]
  slices: {vendor: vendor}
boards:
  - {table: boards.csv, board_id: board, pin_id: item, title: name, where: {kind: keyword}}
queries:
  - from: board_titles
    where: kind == "keyword"
  - {table: [clicks.tsv*, clicks.csv*], query: q, pin_id: item, clicks: n, optional: true}
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, root=None):
        path = tmp_path / "spec.yaml"
        path.write_text(text, encoding="utf-8")
        return load_spec(path, root)

    return write_and_load


def test_a_full_spec(load, tmp_path):
    spec = load(GOOD)
    assert spec.root == tmp_path
    assert spec.pins.image == Image(Column("image"), ".")
    assert spec.pins.columns == {
        "title": Column("title"),
        "caption": Column("ai_text", optional=True),
        "slice_vendor": Column("vendor"),
    }
    assert spec.pins.annotations == Annotations((Column("tags"), Column("labels")), None)
    assert spec.boards[0].columns["title"] == Column("name")
    assert spec.boards[0].table.where.columns == ("kind",)
    assert isinstance(spec.queries[0], BoardTitles)
    assert spec.queries[1].table.globs == ("clicks.tsv*", "clicks.csv*")
    assert spec.queries[1].table.optional


def test_root_moves_the_start_of_the_paths(load, tmp_path):
    (tmp_path / "data").mkdir()
    assert load(GOOD, tmp_path / "data").root == tmp_path / "data"


def test_images_and_annotations_have_longer_forms(load):
    spec = load(
        """
pins:
  table: items.csv
  pin_id: id
  image: {column: file, folder: images}
  annotations: {table: keywords.csv, key: id, value: keyword, by: score}
  slices: {colour: {table: colours.csv, key: id, value: name}}
"""
    )
    assert spec.pins.image == Image(Column("file"), "images")
    assert isinstance(spec.pins.annotations, Lookup)
    assert spec.pins.annotations.by == Column("score")
    assert isinstance(spec.pins.columns["slice_colour"], Lookup)
    cut = load("pins: {table: a.csv, pin_id: id, image: {folder: i}, annotations: {column: tags, separator: ';'}}")
    assert cut.pins.annotations == Annotations((Column("tags"),), ";")
    assert cut.pins.image == Image(None, "i")
    as_text = load("pins: {table: a.csv, pin_id: id, image: {column: picture, encoding: base64}}")
    assert as_text.pins.image == Image(Column("picture"), ".", is_base64=True)


PINS = "table: a.csv, pin_id: id, image: image"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pins: [", "no YAML at line 1"),
        ("pins: {table: a: b}", "no YAML at line 1"),
        ("", "the spec is empty"),
        ("- pins", "the spec is a list"),
        ("boards: {}", "needs the key 'pins'"),
        (f"pins: {{{PINS}}}\nboard: {{}}", "the spec has no key 'board'; did you mean 'boards'?"),
        (f"pins: {{{PINS}, titel: a}}", "pins has no key 'titel'; did you mean 'title'?"),
        (f"pins: {{{PINS}, zzz: a}}", "pins has no key 'zzz'; known keys: table, where"),
        ("pins: {table: a.csv, image: image}", "pins needs the key 'pin_id'"),
        ("pins: items.parquet", "pins is 'items.parquet'"),
        (f"pins: {{{PINS}, title: 7}}", "pins.title is 7"),
        (f"pins: {{{PINS}, title: no}}", "pins.title is False"),
        (f"pins: {{{PINS}, optional: true}}", "pins has no key 'optional'; known keys: table, where"),
        (f"pins: {{{PINS}, slices: vendor}}", "pins.slices is 'vendor'"),
        (f"pins: {{{PINS}, slices: {{'a b': vendor}}}}", "pins.slices: 'a b' is no name"),
        (f"pins: {{{PINS}, numbers: {{'a b': price}}}}", "pins.numbers: 'a b' is no name"),
        (f"pins: {{{PINS}, numbers: price}}", "pins.numbers is 'price'"),
        (f"pins: {{{PINS}, annotations: {{separator: ';'}}}}", "pins.annotations needs the key 'column'"),
        (f"pins: {{{PINS}, annotations: {{table: k.csv, key: id}}}}", "annotations needs the key 'value'"),
        ("pins: {table: a.csv, pin_id: id, image: {}}", "pins.image is {}"),
        ("pins: {table: a.csv, pin_id: id, image: {folders: x}}", "did you mean 'folder'?"),
        (
            "pins: {table: a.csv, pin_id: id, image: {column: i, encoding: hex}}",
            "it takes {column: …, encoding: base64}",
        ),
        ("pins: {table: a.csv, pin_id: id, image: {encoding: base64}}", "it takes {column: …, encoding: base64}"),
        ("pins: {table: [], pin_id: id, image: image}", "pins.table is []"),
        (f"pins: {{{PINS}, where: 3}}", "pins.where is 3"),
        (f"pins: {{{PINS}, where: 'a = 1'}}", "pins: where 'a = 1': expected"),
        (f"pins: {{{PINS}}}\nboards:", "boards is None"),
        (f"pins: {{{PINS}}}\nboards: [{{table: b.csv, board_id: b}}]", "boards[0] needs the key 'pin_id'"),
        (
            f"pins: {{{PINS}}}\nboards: {{table: b.csv, board_id: b, pin_id: p, optional: perhaps}}",
            "boards.optional is 'perhaps'; it takes true or false",
        ),
        (f"pins: {{{PINS}, quotes: ''}}", "pins.quotes is ''; it takes one character in quotes, or none"),
        (f"pins: {{{PINS}, delimiter: '||'}}", "pins.delimiter is '||'; it takes one character in quotes, or tab"),
        (f"pins: {{{PINS}, delimiter: '\"'}}", "pins: delimiter, quotes and escape must be different"),
        (f"pins: {{{PINS}, missing: [null]}}", "pins.missing is [None]; it takes a list of texts"),
        (f"pins: {{{PINS}}}\nquote: none", "the spec has no key 'quote'; did you mean 'quotes'?"),
        (f"pins: {{{PINS}, prefx: a}}", "pins has no key 'prefx'; did you mean 'prefix'?"),
        (f"pins: {{{PINS}, prefix: 7}}", "pins.prefix is 7"),
        (f"pins: {{{PINS}, created_at: {{column: c, formt: ms}}}}", "pins.created_at has no key 'formt'; did you mean"),
        (
            f"pins: {{{PINS}, created_at: {{column: c, format: '%d'}}}}",
            "pins.created_at.format is '%d'; it takes s, ms",
        ),
        (f"pins: {{{PINS}, annotations: {{column: c, format: jsn}}}}", "did you mean 'json'? it takes: json, python"),
        (f"pins: {{{PINS}, annotations: {{column: c, format: json, separator: ','}}}}", "write one of them"),
        (f"pins: {{{PINS}, title: {{column: c}}}}", "pins.title is {'column': 'c'}; it takes a text"),
        (f"pins: {{{PINS}}}\nqueries: {{from: boards}}", "queries.from is 'boards'; it takes board_titles"),
        (f"pins: {{{PINS}}}\nqueries: {{from: board_titles}}", "need boards with a title"),
        (f"pins: {{{PINS}}}\nqueries: [{{from: board_titles}}, {{from: board_titles}}]", "appears twice"),
        (f"pins: {{{PINS}}}\nqueries: {{table: q.csv, pin_id: p}}", "queries needs the key 'query'"),
    ],
)
def test_mistakes(load, text, sentence):
    with pytest.raises(SpecError) as caught:
        load(text)
    assert sentence in str(caught.value)
    assert "spec.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_spec(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(tmp_path / "absent.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"pins: caf\xe9")
    with pytest.raises(SpecError, match="not UTF-8"):
        load_spec(tmp_path / "latin.yaml")
    with pytest.raises(SpecError, match="--root"):
        load_spec(tmp_path / "latin.yaml", tmp_path / "nowhere")


def test_a_key_that_stands_twice_and_tabs(load):
    with pytest.raises(SpecError, match="the key 'boards' appears twice, again at line 3"):
        load("pins: {table: a.csv, pin_id: id, image: i}\nboards: {}\nboards: {}\n")
    with pytest.raises(SpecError, match="the key 'table' appears twice"):
        load("pins: {table: a.csv, pin_id: id, image: i, table: b.csv}")
    with pytest.raises(SpecError, match="indent with blanks instead of tabs"):
        load("pins:\n\ttable: a.csv\n")


@pytest.mark.parametrize(
    ("text", "what"), [("", "is empty"), ("# pins\n---\n", "is empty"), ("- pins", "is a list"), ("pins", "is a str")]
)
def test_a_spec_that_has_no_sections(load, text, what):
    with pytest.raises(
        SpecError, match=f"spec.yaml: the spec {what}; begin it with `pins:`, its table and its columns"
    ):
        load(text)


def test_yaml_makes_no_objects(load):
    with pytest.raises(SpecError, match="no YAML"):
        load("pins: !!python/object/apply:os.getcwd []")


def test_how_files_are_written_at_the_top_and_in_a_table(load):
    spec = load(
        f"missing: ['-']\ndelimiter: tab\n"
        f"pins: {{{PINS}, quotes: none, prefix: shop-, created_at: {{column: c, format: ms}}}}\n"
        "boards: {table: b.csv, board_id: b, pin_id: p, prefix: b-, delimiter: '|', missing: unknown}"
    )
    assert (spec.pins.table.dialect.delimiter, spec.pins.table.dialect.quotes) == ("\t", None)
    assert (spec.pins.prefix, spec.pins.formats) == ("shop-", {"created_at": "ms"})
    board = spec.boards[0]
    assert (board.table.dialect.delimiter, board.table.dialect.quotes, board.prefix) == ("|", '"', "b-")
    assert board.table.dialect.missing == {"-", "unknown"}
