"""Pin statistics through time, against counting again at every moment."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from model.data.catalogue import BOARDS, PINS
from model.features.pin_stats import pin_stats

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number):
    return None if number is None else START + timedelta(days=number)


def tables(pins, boards):
    """Pins as (id, day made), saves as (board, pin, day saved); a day may be None."""
    made = {"pin_id": [p for p, _ in pins], "created_at": [day(d) for _, d in pins]}
    saved = {"board_id": [b for b, _, _ in boards], "pin_id": [p for _, p, _ in boards]}
    saved["saved_at"] = [day(d) for _, _, d in boards]
    return (
        pa.table(made, schema=pa.schema([PINS.field(n).with_nullable(True) for n in made])),
        pa.table(saved, schema=pa.schema([BOARDS.field(n).with_nullable(True) for n in saved])),
    )


def as_of(rows, pin, moment):
    """(saves, boards, created_at) that hold at the moment; None before the first row."""
    held = [row for row in rows if row["pin_id"] == pin and row["event_timestamp"] <= moment]
    newest = max(held, key=lambda row: row["event_timestamp"], default=None)
    return newest and (newest["saves"], newest["boards"], newest["created_at"])


def test_by_hand():
    pins, boards = tables([("a", 0), ("b", None)], [("x", "a", 2), ("y", "a", 1), ("x", "b", 3), ("x", "gone", 1)])
    rows = pin_stats(pins, boards, day(5)).to_pylist()
    seen = [(r["pin_id"], (r["event_timestamp"] - START).days, r["saves"], r["boards"]) for r in rows]
    assert seen == [("a", 0, 0, 0), ("a", 1, 1, 1), ("a", 2, 2, 2), ("b", 3, 1, 1), ("b", 5, 1, 1)]


DAY = st.none() | st.integers(0, 9)


@given(st.lists(DAY, min_size=1, max_size=4), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), DAY)))
def test_a_row_says_what_a_count_at_that_time_would(made, saves):
    names = [f"p{i}" for i in range(len(made))]
    rows, now = [(f"b{b}", names[p % len(names)], d) for b, p, d in saves], 6
    table = pin_stats(*tables(list(zip(names, made, strict=True)), rows), day(now)).to_pylist()
    assert len({(r["pin_id"], r["event_timestamp"]) for r in table}) == len(table)
    for pin, born in zip(names, made, strict=True):
        for moment in range(now + 1):
            times = [(b, max(now if d is None else d, born or 0)) for b, p, d in rows if p == pin]
            counted = [b for b, d in times if d <= moment]
            if counted or (now if born is None else born) <= moment:
                assert as_of(table, pin, day(moment)) == (len(counted), len(set(counted)), day(born))
            else:
                assert as_of(table, pin, day(moment)) is None


def test_the_time_a_pin_was_made_is_kept_to_the_second_and_not_told_ahead():
    pins, boards = tables([("a", 4)], [("x", "a", 1)])
    late = pins.set_column(1, "created_at", pa.array([day(4) + timedelta(microseconds=700)], pins["created_at"].type))
    row = pin_stats(late, boards, day(5)).to_pylist()
    assert [(r["event_timestamp"], r["created_at"]) for r in row] == [(day(4) + timedelta(microseconds=700), day(4))]
    assert pin_stats(late, boards, day(3)).num_rows == 0
