"""Ids with line breaks or control characters: what they are, and that prepare keeps none."""

import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.ids import holds_control
from model.data.preparation import prepare


@given(st.text())
def test_it_is_what_unicode_calls_so(text):
    assert holds_control(text) == any(unicodedata.category(one) in ("Cc", "Zl", "Zp") for one in text)


@pytest.fixture
def prepared(tmp_path, picture):
    """Call with ids and rows of boards: the prepared catalogue, its summary, its quarantine."""

    def run(ids: list[str], boards: list[tuple[str, str]]):
        with CatalogueWriter(tmp_path / "in") as writer:
            writer.write("pins", pa.table({"pin_id": ids, "image": [picture(place) for place in range(len(ids))]}))
            writer.write("boards", pa.table({"board_id": [b for b, _ in boards], "pin_id": [p for _, p in boards]}))
        summary = prepare(Catalogue(tmp_path / "in"), tmp_path / "out", PrepareConfig(min_board_pins=1))
        return (
            Catalogue(tmp_path / "out" / "catalogue"),
            summary,
            pq.read_table(tmp_path / "out" / "quarantine.parquet"),
        )

    return run


def test_they_are_quarantined(prepared):
    odd = ["a\nb", "a\r", "\x00", "a\x85b", "a\u2028b", "\x7f"]
    boards = [("B", "whole"), ("B\n", "whole"), *(("B", pin_id) for pin_id in odd)]
    kept, summary, quarantine = prepared(["whole", *odd], boards)
    assert kept.read("pins", ["pin_id"])["pin_id"].to_pylist() == ["whole"]
    assert kept.read("boards", ["board_id"])["board_id"].to_pylist() == ["B"]
    assert summary["pins"]["quarantined"] == {"pin_id holds a line break or another control character": 6}
    assert summary["boards"]["quarantined"] == {"no usable board_id": 1}
    assert summary["boards"]["dropped"] == {"refused Pin": 6}
    assert quarantine["key"].to_pylist()[:6] == odd


def test_ids_of_every_script_are_kept(prepared):
    ids = ["größe/1", "帽子", "a\u200db", "a b", "\u00a0x", "🙂"]
    assert prepared(ids, [])[0].read("pins", ["pin_id"])["pin_id"].to_pylist() == ids
