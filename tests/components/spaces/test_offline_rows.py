"""The log of a view's rows, against a dictionary that is kept by hand."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.spaces.offline_rows import append_rows, newest, read_appended, shards
from model.data.catalogue import TIME
from model.errors import StoreError

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    [("pin_id", pa.string()), ("saves", pa.int64()), ("weights", pa.list_(pa.float32())), ("event_timestamp", TIME)]
)


def table(values, time):
    rows = [{"pin_id": k, "saves": s, "weights": w, "event_timestamp": time} for k, (s, w) in values.items()]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def held(folder):
    """What is known of every key: (values, since when)."""
    rows = newest(pa.concat_tables([read_appended(shard) for shard in shards(folder)]), "pin_id").to_pylist()
    return {row["pin_id"]: ((row["saves"], row["weights"]), row["event_timestamp"]) for row in rows}


VALUE = st.tuples(st.none() | st.integers(0, 2), st.none() | st.lists(st.sampled_from([0.25, 0.5]), max_size=2))
STATE = st.dictionaries(st.sampled_from("abc"), VALUE)


@settings(deadline=None, max_examples=40)
@given(st.lists(STATE, min_size=1, max_size=4))
def test_only_what_changed_is_appended_and_the_rest_keeps_its_time(tmp_path_factory, states):
    folder, expected = tmp_path_factory.mktemp("log"), {}
    for day, state in enumerate(states):
        now = START + timedelta(days=day)
        changed = {key: value for key, value in state.items() if expected.get(key, (None,))[0] != value}
        expected |= {key: (value, now) for key, value in changed.items()}
        since = now - timedelta(hours=1)
        assert append_rows(folder, table(state, now), "pin_id", now) == len(changed)
        assert {row for shard in shards(folder) for row in read_appended(shard, since)["pin_id"].to_pylist()} == set(
            changed
        )
    if expected:
        assert held(folder) == expected


def test_the_first_time_brings_the_history_and_later_times_only_what_is_new(tmp_path):
    history = pa.concat_tables([table({"a": (n, [0.5])}, START + timedelta(days=n)) for n in range(3)])
    assert append_rows(tmp_path, history, "pin_id", START + timedelta(days=5)) == 3
    later = START + timedelta(days=9)
    longer = pa.concat_tables([history, table({"a": (7, [0.5])}, START + timedelta(days=4))])
    assert append_rows(tmp_path, longer, "pin_id", later) == 1
    assert held(tmp_path) == {"a": ((7, [0.5]), later)}  # late, so it was not known before


def test_a_damaged_shard_is_one_sentence(tmp_path):
    append_rows(tmp_path, table({"a": (1, [0.5])}, START), "pin_id", START)
    (shard,) = shards(tmp_path)
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"\.parquet is damaged .* `pinclip sync`"):
        read_appended(shard)
