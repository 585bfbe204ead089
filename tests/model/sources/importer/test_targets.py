"""Where an import writes: what a mistake or a kill leaves there, and what is never replaced."""

import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_import import SPEC, image, run

from model.data.catalogue import Catalogue
from model.errors import CatalogueError, SpecError
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.reading import load_spec


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (("name", "nome"), SpecError, "items.parquet has no column 'nome' (pins); did you mean 'name'?"),
        (("item,", "itm,"), SpecError, "boards.csv has no column 'itm' (boards); did you mean 'item'?"),
        (("items.parquet", "absent.parquet"), SpecError, "matches absent.parquet"),
        (("pin_id: id", "pin_id: image"), CatalogueError, "none of the 3 rows could be kept (3 × pin_id is no UTF-8"),
        (("image: image", "image: {folder: nope}"), SpecError, "pins.image: there is no folder nope in"),
        (("image: image", "image: {folder: .}"), CatalogueError, "3 × no image file is named by this pin_id"),
        (("pin_id: item", "pin_id: title"), SpecError, "boards: none of the 3 rows of boards.csv was kept"),
        (("from: board_titles", "from: board_titles, where: title == 'green'"), SpecError, "gave nothing"),
        (("from: board_titles", "from: board_titles, where: colour == 'green'"), SpecError, "no column 'colour'"),
    ],
)
def test_mistakes_leave_the_old_catalogue(data, change, error, sentence):
    before = run(data)[0].digest()
    with pytest.raises(error) as caught:
        run(data, SPEC.replace(*change))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert Catalogue(data.parent / "catalogue").digest() == before
    assert [path.name for path in data.parent.iterdir() if path.name.startswith(".")] == []


def test_folders_that_must_not_be_replaced(data, tmp_path):
    spec = load_spec(data / "spec.yaml")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.png").write_bytes(image())
    with pytest.raises(CatalogueError, match="is no catalogue"):
        import_catalogue(spec, tmp_path / "photos")
    assert (tmp_path / "photos" / "mine.png").is_file()
    (data / "pins").mkdir()
    pq.write_table(pa.table({"a": [1]}), data / "pins" / "a.parquet")
    with pytest.raises(CatalogueError, match="holds the tables to import"):
        import_catalogue(spec, data)
    with pytest.raises(CatalogueError, match="cannot be written"):
        import_catalogue(spec, data / "boards.csv" / "out")


def test_a_name_that_the_locale_cannot_write_is_one_sentence(data, tmp_path):
    with pytest.raises(SpecError, match=r"is no UTF-8 in this locale; set LC_ALL=C\.UTF-8"):
        import_catalogue(load_spec(data / "spec.yaml"), tmp_path / "\udcc3\udc96ut")
    (data / "items.parquet").rename(data / "\udcff.parquet")
    with pytest.raises(SpecError, match="is no UTF-8 in this locale"):
        run(data, SPEC.replace("items.parquet", "'*.parquet'"))


def test_a_linked_target_keeps_its_link(data, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    import_catalogue(load_spec(data / "spec.yaml"), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Catalogue(tmp_path / "real").count("pins") == 3


KILLED = """
import os, signal, sys
from pathlib import Path
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.reading import load_spec
def report(done, message):
    if done > 0.8:
        os.kill(os.getpid(), signal.SIGKILL)
import_catalogue(load_spec(Path(sys.argv[1])), Path(sys.argv[2]), report)
"""


def test_an_import_that_was_killed_gives_the_same_bytes(data, tmp_path):
    expected = run(data)[0]
    again = tmp_path / "again"
    killed = subprocess.run([sys.executable, "-c", KILLED, data / "spec.yaml", again], check=False)
    assert (killed.returncode, again.exists()) == (-signal.SIGKILL, False)
    import_catalogue(load_spec(data / "spec.yaml"), again)
    assert not list(tmp_path.glob(".again*"))
    for file in sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file()):
        assert (again / file).read_bytes() == (expected.root / file).read_bytes(), file
