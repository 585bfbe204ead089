"""What no id may be, and that prepare keeps none of these."""

import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.ids import BLANK_ENDS, DOT_PARTS, HOLDS_CONTROL, NO_UNICODE, TOO_LONG, id_refusal, pin_id_refusal
from model.data.preparation import prepare


@given(st.text(max_size=520))
def test_control_characters_are_what_unicode_calls_so(text):
    assert (id_refusal(text) == HOLDS_CONTROL) == any(unicodedata.category(one) in ("Cc", "Zl", "Zp") for one in text)


@pytest.mark.parametrize(
    ("pin_id", "refused"),
    [
        ("a\nb", HOLDS_CONTROL),
        ("a\udcff", NO_UNICODE),
        ("x" * 513, TOO_LONG),
        (" a", BLANK_ENDS),
        ("a\u3000", BLANK_ENDS),
        (".", DOT_PARTS),
        ("..", DOT_PARTS),
        ("./a", DOT_PARTS),
        ("a/../b", DOT_PARTS),
    ],
)
def test_each_kind_has_its_reason(pin_id, refused):
    assert pin_id_refusal(pin_id) == refused
    assert id_refusal(pin_id) == (None if refused == DOT_PARTS else refused)


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
    torn = ["a\nb", "a\r", "\x00", "a\x85b", "a\u2028b", "\x7f"]
    odd = [*torn, "x" * 513, " a", "a/../b"]
    boards = [("B", "whole"), ("B\n", "whole"), *(("B", pin_id) for pin_id in odd)]
    kept, summary, quarantine = prepared(["whole", *odd], boards)
    assert kept.read("pins", ["pin_id"])["pin_id"].to_pylist() == ["whole"]
    assert kept.read("boards", ["board_id"])["board_id"].to_pylist() == ["B"]
    reasons = {HOLDS_CONTROL: 6, TOO_LONG: 1, BLANK_ENDS: 1, DOT_PARTS: 1}
    assert summary["pins"]["quarantined"] == {f"pin_id {reason}": count for reason, count in reasons.items()}
    assert summary["boards"]["quarantined"] == {"no usable board_id": 1}
    assert summary["boards"]["dropped"] == {"refused Pin": 9}
    assert quarantine["key"].to_pylist()[:9] == odd


def test_ids_of_every_script_are_kept(prepared):
    ids = ["größe/1", "帽子", "a\u200db", "a b", "🙂", "e\u0301", "é", "a%2Fb", "/a//b/", "a.b", "...", "x" * 512]
    assert prepared(ids, [])[0].read("pins", ["pin_id"])["pin_id"].to_pylist() == ids
