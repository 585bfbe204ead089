"""Every example of docs/specs.md, as it stands there."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from model.data.catalogue import Catalogue
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.dialect import DIALECT_KEYS
from model.sources.importer.spec.reading import load_spec

PAGE = (Path(__file__).parents[4] / "docs" / "specs.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples():
    """[{file or table: text}], one an example; it ends with its expected rows."""
    found, expects = [{}], False
    for language, name, text in BLOCK.findall(PAGE):
        if expects and language != "json":
            found.append({})
        expects = language == "json"
        found[-1][name] = text
    return found


@pytest.mark.parametrize("blocks", examples(), ids=lambda blocks: blocks["spec.yaml"].splitlines()[0][:60])
def test_example(tmp_path, blocks):
    (tmp_path / "images").mkdir()
    for number in range(1, 5):
        Image.new("RGB", (4, 4)).save(tmp_path / "images" / f"{number}.png")
    for name in blocks:
        if "." in name:
            (tmp_path / name).write_text(blocks[name], encoding="utf-8")
    import_catalogue(load_spec(tmp_path / "spec.yaml"), tmp_path / "out")
    tables = [name for name in blocks if "." not in name]
    assert tables
    for table in tables:
        expected = [json.loads(line) for line in blocks[table].splitlines()]
        found = Catalogue(tmp_path / "out").read(table, list(expected[0])).to_pylist()
        assert json.loads(json.dumps(found, default=str)) == expected


def test_every_key_has_an_example():
    specs = "\n".join(blocks["spec.yaml"] for blocks in examples())
    keys = (
        *DIALECT_KEYS,
        "prefix",
        "format: json",
        "format: ms",
        "separator",
        "where",
        "by",
        "from",
        "slices",
        "caption",
        "user_id",
        "consent",
        "kind",
        "weight",
        "time",
    )
    assert [key for key in keys if not re.search(rf"\b{key}\b", specs)] == []
