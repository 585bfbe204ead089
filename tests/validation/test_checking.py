"""The suites on real prepared catalogues, good and bad, through Great Expectations itself."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.preparation import prepare
from model.errors import CatalogueError, ModelError, ValidationFailed
from validation.checking import check, check_embeddings
from validation.report import require

CONFIG = PrepareConfig()


def picture(seed: int, side: int = 16) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make(
    folder: Path, broken: int = 0, pins: int = 40, boards: bool = True, ghosts: int = 0, text: str = "Tea"
) -> Path:
    """A prepared folder of `pins` Pins, of which `broken` are cut short, and `ghosts` board rows name no Pin."""
    images = [picture(i)[: 200 if i < broken else None] for i in range(pins)]
    ids = [f"p{i}" for i in range(pins)]
    saved = ids[broken:] + [f"ghost{i}" for i in range(ghosts)]
    with CatalogueWriter(folder / "source") as writer:
        writer.write("pins", pa.table({"pin_id": ids, "image": images, "title": [text] * pins}))
        if boards:
            names = [f"b{i % 4}" for i in range(len(saved))]
            writer.write("boards", pa.table({"board_id": names, "pin_id": saved, "title": ["Drinks"] * len(saved)}))
            writer.write("queries", pa.table({"query": ["tea"] * 9, "pin_id": ids[broken : broken + 9]}))
    prepare(Catalogue(folder / "source"), folder / "prepared", CONFIG)
    return folder / "prepared"


def failed(report) -> set[tuple]:
    return {(f.table, f.column, f.kind) for f in report.expectations if not f.success}


def test_a_good_catalogue_passes_and_its_pages_need_no_network(tmp_path):
    report = check(make(tmp_path), CONFIG, tmp_path / "docs")
    assert (report.success, report.failures, report.warnings) == (True, [], [])
    require(report)
    assert json.loads(json.dumps(report.to_dict()))["success"] is True
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert len(pages) == 1 + 2 * 4
    for page in pages:
        html = page.read_text()
        assert not re.search(r"<script|<link|src=|url\(", html)
    front = (tmp_path / "docs" / "index.html").read_text()
    links = re.findall(r'href="([^"]+)"', front)
    assert len(links) == 8
    assert all((tmp_path / "docs" / link).is_file() for link in links)


def test_a_share_above_the_limit_stops_the_run_with_its_pages_saved(tmp_path):
    report = check(make(tmp_path, broken=12), CONFIG, tmp_path / "docs")
    with pytest.raises(ValidationFailed) as raised:
        require(report)
    assert str(raised.value) == (
        "At most 5% of the rows of pins may be quarantined, but 30.0% are; mostly for: truncated (12); "
        "fix the rows listed in quarantine.parquet, or raise prepare.max_quarantined."
    )
    assert failed(report) == {("intake", "pins", "hard")}
    front = (tmp_path / "docs" / "index.html").read_text()
    assert "This stops the run" in front
    assert "12 truncated" in front


def test_a_share_below_the_limit_passes(tmp_path):
    report = check(make(tmp_path, broken=2), CONFIG, tmp_path / "docs")
    assert report.success
    assert not check(make(tmp_path, broken=2), PrepareConfig(max_quarantined=0.04), tmp_path / "docs").success


def test_boards_that_name_unknown_pins_count_as_well(tmp_path):
    report = check(make(tmp_path, ghosts=20), CONFIG, tmp_path / "docs")
    assert failed(report) == {("intake", "boards", "hard")}
    assert "mostly for: unknown Pin (20)" in report.failures[0]


def test_no_boards_at_all_is_told_and_allowed(tmp_path):
    report = check(make(tmp_path, boards=False), CONFIG, tmp_path / "docs")
    assert report.success
    assert failed(report) == {("boards", None, "soft"), ("queries", None, "soft"), ("pins", "boards", "soft")}
    assert "There should be boards, but there are 0; without boards no neighbours are learned." in report.warnings


def test_a_catalogue_without_any_text_stops_the_run(tmp_path):
    report = check(make(tmp_path, text="nan"), CONFIG, tmp_path / "docs")
    assert failed(report) == {("pins", "texts", "hard"), ("pins", "texts", "soft")}
    assert "map title, description, caption or annotations" in report.failures[0]


def test_blank_and_repeated_images_are_told(tmp_path):
    prepared = make(tmp_path)
    facts = pq.read_table(prepared / "facts.parquet")
    for name, value in (("contrast", 0.0), ("copies", 40), ("width", 90)):
        place = facts.schema.get_field_index(name)
        facts = facts.set_column(place, name, pa.array([value] * facts.num_rows, facts.schema.field(name).type))
    pq.write_table(facts, prepared / "facts.parquet")
    report = check(prepared, CONFIG, tmp_path / "docs")
    assert report.success
    assert failed(report) == {("pins", name, "soft") for name in ("contrast", "copies", "aspect")}


def test_a_prepared_folder_that_breaks_its_own_promises_is_stopped(tmp_path):
    prepared = make(tmp_path)
    facts = pq.read_table(prepared / "facts.parquet")
    pq.write_table(pa.concat_tables([facts, facts.slice(0, 1)]), prepared / "facts.parquet")
    boards = {"board_id": ["lonely"], "pin_id": ["ghost"], "title": ["x"]}
    pq.write_table(pa.table(boards), prepared / "catalogue" / "boards" / "00001.parquet")
    queries = {"query": [""], "pin_id": ["ghost"], "clicks": [0]}
    pq.write_table(pa.table(queries), prepared / "catalogue" / "queries" / "00001.parquet")
    report = check(prepared, CONFIG, tmp_path / "docs")
    assert failed(report) == {
        ("pins", "pin_id", "hard"),
        ("boards", "pins", "hard"),
        ("boards", "unknown_pins", "hard"),
        ("queries", "query_length", "hard"),
        ("queries", "clicks", "hard"),
        ("queries", "known", "hard"),
    }
    with pytest.raises(ValidationFailed, match=r"Every pin_id is unique, but 2 of 41 rows break this \(p0\).*5 more"):
        require(report)


def test_real_images_and_boards_pass(tmp_path):
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "emoji"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    items = pq.read_table(folder / "items.parquet", columns=["id", "image", "title"]).slice(0, 300)
    columns = ["board_id", "item_id", "board_title"]
    saves = pq.read_table(folder / "boards.parquet", columns=columns, filters=[("board_type", "=", "keyword")])
    saves = saves.filter(pc.is_in(saves["item_id"], items["id"].combine_chunks()))
    with CatalogueWriter(tmp_path / "source") as writer:
        writer.write("pins", items.rename_columns(["pin_id", "image", "title"]))
        writer.write("boards", saves.rename_columns(["board_id", "pin_id", "title"]))
    summary = prepare(Catalogue(tmp_path / "source"), tmp_path / "prepared", CONFIG)
    assert summary["pins"]["kept"] == 300
    report = check(tmp_path / "prepared", CONFIG, tmp_path / "docs")
    assert report.success
    assert ("queries", None, "soft") in failed(report)


def test_a_folder_that_was_never_prepared_is_one_sentence(tmp_path):
    with pytest.raises(CatalogueError, match="run the prepare step again"):
        check(tmp_path, CONFIG, tmp_path / "docs")


def vectors(folder: Path, matrix: np.ndarray, ids: list[str] | None = None, dim: int = 8) -> Path:
    def column(rows: np.ndarray) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float32).ravel()), rows.shape[1])

    (folder / "pins").mkdir(parents=True)
    text = np.zeros_like(matrix)  # of a Pin without text
    table = {"pin_id": ids or [f"p{i}" for i in range(len(matrix))], "pin": column(matrix)}
    pq.write_table(pa.table(table | {"image": column(matrix), "text": column(text)}), folder / "pins" / "00000.parquet")
    pq.write_table(pa.table({"query": ["tea"], "vector": column(matrix[:1])}), folder / "queries.parquet")
    (folder / "embedding.json").write_text(json.dumps({"dim": dim, "prefixes": [dim]}))
    return folder


def sphere(rows: int = 50, dim: int = 8) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(rows, dim))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_good_vectors_pass(tmp_path):
    report = check_embeddings(vectors(tmp_path / "vectors", sphere()), tmp_path / "docs", pins=50)
    assert (report.success, report.warnings) == (True, [])
    assert (tmp_path / "docs" / "index.html").is_file()


def test_bad_vectors_stop_the_run(tmp_path):
    matrix = sphere()
    matrix[3, 2] = np.nan
    matrix[7] *= 2
    ids = [f"p{i}" for i in range(49)] + ["p0"]
    report = check_embeddings(vectors(tmp_path / "vectors", matrix, ids), tmp_path / "docs", pins=51)
    assert failed(report) == {
        ("vectors", "pin_id", "hard"),
        ("vectors", "finite", "hard"),
        ("vectors", "length", "hard"),
        ("space", "pins", "hard"),
    }


def test_vectors_of_another_dimension_stop_the_run(tmp_path):
    report = check_embeddings(vectors(tmp_path / "vectors", sphere(dim=6)), tmp_path / "docs")
    assert failed(report) == {("vectors", "dimension", "hard"), ("queries", "dimension", "hard")}


def test_collapsed_vectors_are_told(tmp_path):
    same = np.tile(sphere(1), (50, 1))
    report = check_embeddings(vectors(tmp_path / "vectors", same), tmp_path / "docs")
    assert report.success
    assert failed(report) == {("space", "mean_length", "soft")}


def test_an_unfinished_embed_step_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="run the embed step again"):
        check_embeddings(tmp_path, tmp_path / "docs")


def with_users(folder: Path, **columns) -> Path:
    """40 Pins, saved by four users, with a preference each; `columns` replace those of the preferences."""
    ids = [f"p{i}" for i in range(40)]
    with CatalogueWriter(folder / "source") as writer:
        writer.write("pins", pa.table({"pin_id": ids, "image": [picture(i) for i in range(40)], "title": ["Tea"] * 40}))
        owners = [f"u{i % 4}" for i in range(40)]
        writer.write(
            "boards", pa.table({"board_id": [f"b{i % 8}" for i in range(40)], "pin_id": ids, "user_id": owners})
        )
        likes = {
            "user_id": owners,
            "pin_id": ids,
            "weight": [2.0] * 40,
            "time": [datetime(2026, 1, 1, tzinfo=UTC)] * 40,
        }
        writer.write("preferences", pa.table(likes | columns))
        writer.write("users", pa.table({"user_id": [f"u{i}" for i in range(4)], "consent": [True] * 4}))
    prepare(Catalogue(folder / "source"), folder / "prepared", CONFIG)
    return folder / "prepared"


def test_users_and_preferences_are_checked_where_they_are_there(tmp_path):
    report = check(with_users(tmp_path), CONFIG, tmp_path / "docs")
    assert report.success
    told = {one.table for one in report.expectations}
    assert {"users", "preferences"} <= told
    assert any("Every user has 2 Pins or more (k-anonymity)" in one.says for one in report.expectations)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"time": [datetime(2999, 1, 1, tzinfo=UTC)] * 40}, "time in the future (40)"),
        ({"user_id": ["phantom"] * 40}, "unknown user (40)"),
    ],
)
def test_preferences_that_are_wrong_as_a_whole_are_one_sentence(tmp_path, columns, reason):
    report = check(with_users(tmp_path, **columns), CONFIG, tmp_path / "docs")
    assert report.failures == [
        f"At most 5% of the rows of preferences may be quarantined, but 100.0% are; mostly for: {reason}; "
        "fix the rows listed in quarantine.parquet, or raise prepare.max_quarantined."
    ]


def test_a_user_with_the_id_of_a_board_that_names_none_stops_the_run(tmp_path):
    prepared = with_users(tmp_path)
    boards = prepared / "catalogue/boards/00000.parquet"
    rows = pq.read_table(boards)
    users = ["b0" if user == "u1" else None for user in rows["user_id"].to_pylist()]
    pq.write_table(rows.set_column(2, "user_id", pa.array(users, pa.string())), boards)
    report = check(prepared, CONFIG, tmp_path / "docs")
    (sentence,) = report.failures
    assert sentence.startswith("No user has the id of a board that names no user, but ")
    assert sentence.endswith("give the boards a prefix in the import spec.")


def test_a_prepared_folder_with_preferences_that_were_changed_is_stopped(tmp_path):
    prepared = with_users(tmp_path)
    file = prepared / "catalogue/preferences/00000.parquet"
    rows = pq.read_table(file).slice(0, 1)
    bad = {"pin_id": "ghost", "weight": float("inf"), "time": datetime(2999, 1, 1, tzinfo=UTC), "user_id": "u7"}
    zero = {"pin_id": "p1", "weight": 0.0, "time": None, "user_id": "u0"}
    pq.write_table(pa.Table.from_pylist([*rows.to_pylist(), bad, zero], rows.schema), file)
    report = check(prepared, CONFIG, tmp_path / "docs")
    assert failed(report) == {
        *(("preferences", name, "hard") for name in ("known", "finite", "weight", "ahead")),
        ("preferences", "time", "soft"),
        ("users", "pins", "hard"),
        ("boards", "title_length", "soft"),
        ("queries", None, "soft"),
    }
