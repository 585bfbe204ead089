"""The data contract: what is written comes back, shard by shard; what breaks the contract is one sentence."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data import catalogue
from model.data.catalogue import Catalogue, CatalogueWriter, joined_texts
from model.errors import CatalogueError


def pins(first: int, last: int, **columns) -> pa.Table:
    count = last - first
    table = {"pin_id": [f"p{i:03d}" for i in range(first, last)], "image": [bytes([i]) for i in range(first, last)]}
    return pa.table(table | {name: [value] * count for name, value in columns.items()})


def written(path, *tables, rows_per_shard=4096, boards=None):
    with CatalogueWriter(path, rows_per_shard) as writer:
        for table in tables:
            writer.write("pins", table)
        if boards is not None:
            writer.write("boards", boards)
    return Catalogue(path)


def test_rows_come_back_in_order_whatever_the_shards(tmp_path):
    made = written(tmp_path / "c", pins(0, 7), pins(7, 8), pins(8, 25), rows_per_shard=10)
    assert [pq.read_metadata(shard).num_rows for shard in made.shards("pins")] == [10, 10, 5]
    assert made.count("pins") == 25
    assert made.count("boards") == made.count("queries") == 0
    ids = [pin for batch in made.batches("pins", ["pin_id"], rows=4) for pin in batch.column("pin_id").to_pylist()]
    assert ids == made.read("pins", ["pin_id"])["pin_id"].to_pylist() == [f"p{i:03d}" for i in range(25)]
    assert max(batch.num_rows for batch in made.batches("pins", ["pin_id"], rows=4)) == 4
    assert made.read("boards", ["board_id", "title"]).num_rows == 0


def test_heavy_rows_are_written_before_the_shard_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "SHARD_BYTES", 10)
    assert len(written(tmp_path / "c", pins(0, 5), pins(5, 9)).shards("pins")) == 2


def test_a_column_that_a_shard_lacks_comes_as_nulls(tmp_path):
    made = written(tmp_path / "c", pins(0, 2), rows_per_shard=2)
    second = pins(2, 4, title="tea", slice_region="north")
    pq.write_table(second, tmp_path / "c" / "pins" / "00001.parquet")
    assert made.columns("pins") == ["pin_id", "image", "title", "slice_region"]
    assert made.read("pins", ["title", "slice_region", "annotations"]).to_pydict() == {
        "title": [None, None, "tea", "tea"],
        "slice_region": [None, None, "north", "north"],
        "annotations": [None] * 4,
    }


def test_types_are_those_of_the_contract(tmp_path):
    """Large strings, dictionaries and other units of time are common in Parquet files of others."""
    day = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    foreign = pa.table(
        {
            "pin_id": pa.array(["a"], pa.large_string()),
            "image": pa.array([b"x"], pa.large_binary()),
            "title": pa.array(["tea"]).dictionary_encode(),
            "created_at": pa.array([day], pa.timestamp("ms", tz="Europe/Berlin")),
        }
    )
    made = written(tmp_path / "c", foreign)
    pq.write_table(foreign, tmp_path / "c" / "pins" / "00001.parquet")
    read = made.read("pins", ["pin_id", "image", "title", "created_at"])
    assert read.schema.types == [pa.string(), pa.binary(), pa.string(), catalogue.TIME]
    assert read.to_pylist() == [{"pin_id": "a", "image": b"x", "title": "tea", "created_at": day}] * 2


def test_a_column_outside_the_contract_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match=r"no column 'colour'; the contract is in model/data/catalogue\.py"):
        written(tmp_path / "c", pins(0, 1, colour="red"))
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_leaves_the_old_catalogue(tmp_path):
    old = written(tmp_path / "c", pins(0, 3)).digest()
    with pytest.raises(KeyError), CatalogueWriter(tmp_path / "c") as writer:
        writer.write("pins", pins(0, 200))
        raise KeyError
    assert Catalogue(tmp_path / "c").digest() == old
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_new_catalogue_takes_the_place_of_the_old(tmp_path):
    written(tmp_path / "c", pins(0, 30), rows_per_shard=10)
    assert written(tmp_path / "c", pins(0, 3)).count("pins") == 3


def test_a_folder_with_other_things_is_not_overwritten(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(CatalogueError, match="is a folder with other things in it; choose a new folder"):
        written(tmp_path, pins(0, 1))
    assert (tmp_path / "holiday.jpg").exists()


def test_the_digest_is_of_the_content(tmp_path):
    boards = pa.table({"board_id": ["b"], "pin_id": ["p000"]})
    digests = [
        written(tmp_path / "one", pins(0, 3)).digest(),
        written(tmp_path / "other folder", pins(0, 3)).digest(),
        written(tmp_path / "title", pins(0, 3, title="tea")).digest(),
        written(tmp_path / "fewer", pins(0, 2)).digest(),
        written(tmp_path / "board", pins(0, 3), boards=boards).digest(),
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
    assert all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda root: None, r"There is no catalogue at .*; make one with `pinclip generate` or `pinclip import`"),
        (lambda root: (root / "pins").mkdir(parents=True), r"has no pins/\*\.parquet; import or generate it again"),
        (lambda root: written(root, pins(0, 0).slice(0, 0)), r"has no pins/\*\.parquet"),
        (lambda root: _shard(root, pins(0, 0)), r"is empty: its pins/ shards hold no rows"),
        (
            lambda root: _shard(root, pins(0, 1).drop_columns("image")),
            r"lacks the column 'image'; its columns are pin_id",
        ),
        (
            lambda root: _shard(root, pins(0, 1), b"PAR1 and nothing else"),
            r"is no readable Parquet file \(.*\); import",
        ),
        (lambda root: _shard(root, pins(0, 1), b""), r"is no readable Parquet file"),
    ],
)
def test_what_is_no_catalogue(tmp_path, break_it, sentence):
    with pytest.raises(CatalogueError, match=sentence) as raised:
        break_it(tmp_path / "c")
        Catalogue(tmp_path / "c")
    assert "\n" not in str(raised.value)


def _shard(root, table: pa.Table, instead: bytes | None = None) -> None:
    (root / "pins").mkdir(parents=True)
    pq.write_table(table, root / "pins" / "0.parquet")
    if instead is not None:
        (root / "pins" / "0.parquet").write_bytes(instead)


def test_every_table_is_checked(tmp_path):
    written(tmp_path / "c", pins(0, 1))
    pq.write_table(pa.table({"board_id": ["b"]}), tmp_path / "c" / "boards" / "0.parquet")
    with pytest.raises(CatalogueError, match=r"boards/0\.parquet lacks the column 'pin_id'; its columns are board_id"):
        Catalogue(tmp_path / "c")


def test_texts_are_joined():
    assert joined_texts([["a", "", None, "b"], "tea", None, [], ""]) == ["a, b", "tea", "", "", ""]
