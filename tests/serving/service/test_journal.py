"""What was accepted outlives the process, reaches the others, and becomes a shard once."""

import contextlib
import os
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.forgotten import Forgotten
from model.embedding.affine import Affine
from model.errors import VectorIndexError
from serving.service.journal import Journal
from serving.service.lines import as_lines, pending

AFFINE = Affine(scale=1 / 127, zero_point=0, bits=8, dim=4)
TIME = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1_000_000)


@pytest.fixture
def journal_of(tmp_path):
    """Call it for a journal as one more process would open it."""
    (tmp_path / "shards").mkdir()
    return lambda: Journal(tmp_path / "journal", tmp_path / "shards", AFFINE)


def rows(*names: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    vectors = np.random.default_rng(len(names)).integers(0, 256, (len(names), 4), dtype=np.uint8)
    return list(names), vectors, TIME + np.arange(len(names))


def test_the_next_process_reads_all_that_was_appended(journal_of):
    journal_of().append(*rows("a", "b"))
    journal_of().append(*rows("c\n", "größe", "a"))
    news = journal_of().news()
    assert news.ids.to_pylist() == ["a", "b", "c\n", "größe", "a"]
    assert np.array_equal(AFFINE.pack(news.codes_NE), np.concatenate([rows("a", "b")[1], rows("c", "d", "e")[1]]))
    assert news.times_N.tolist() == [TIME, TIME + 1, TIME, TIME + 1, TIME + 2]


def test_two_beside_each_other_hear_of_each_other_once(journal_of):
    one, two = journal_of(), journal_of()
    one.append(*rows("a"))
    assert one.news().ids.to_pylist() == []
    assert two.news().ids.to_pylist() == ["a"]
    one.append(*rows("b"))
    two.append(*rows("c"))
    assert (one.news().ids.to_pylist(), two.news().ids.to_pylist()) == (["c"], ["b"])
    assert (one.news().ids.to_pylist(), two.news().ids.to_pylist()) == ([], [])


def test_what_became_a_shard_is_not_heard_twice_and_not_missed(journal_of):
    one, heard, late = journal_of(), journal_of(), journal_of()
    one.append(*rows("a", "b"))
    heard.news()
    for file in one.turn():
        one.become_shard(file)
    assert heard.news().ids.to_pylist() == []
    assert late.news().ids.to_pylist() == ["a", "b"]
    assert one.news().ids.to_pylist() == []


def test_who_is_alive_keeps_its_file(journal_of):
    one, two = journal_of(), journal_of()
    two.append(*rows("a"))
    assert len(one.turn()) == 1  # its own
    two.opened.close()  # as its end would
    one.append(*rows("b"))
    assert len(one.turn()) == 2  # its own: of the other's nobody has looked whether it was interrupted
    one.settle(lambda ids: True)
    assert len(one.settled()) == 3


def test_a_closed_file_becomes_a_shard(journal_of, tmp_path):
    journal = journal_of()
    journal.append(*rows("a", "b"))
    [file] = journal.turn()
    left = file.read_bytes()
    journal.become_shard(file)
    file.write_bytes(left)  # killed before the file was removed
    journal.become_shard(file)
    journal.append(*rows("c"))
    table = pq.read_table(tmp_path / "shards")
    assert table["pin_id"].to_pylist() == ["a", "b"]
    assert table["vector"].to_pylist() == [row.tobytes() for row in rows("a", "b")[1]]
    assert table["event_timestamp"][0].as_py() == datetime(2026, 11, 21, 12, tzinfo=UTC)


@settings(deadline=None, max_examples=30)
@given(cut=st.integers(0, 400))
def test_wherever_a_kill_cuts_whole_lines_are_read(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("journal")
    Journal(folder, folder, AFFINE).append(*rows("a", "b", "c"))
    [file] = folder.glob("*.jsonl")
    data = file.read_bytes()
    file.write_bytes(data[:cut])
    assert Journal(folder, folder, AFFINE).news().ids.to_pylist() == ["a", "b", "c"][: data[:cut].count(b"\n")]


def test_a_forgotten_pin_becomes_no_row_and_those_beside_hear_of_all_others(journal_of):
    one, heard, late = journal_of(), journal_of(), journal_of()
    one.append(*rows("gone", "b"))
    heard.news()
    one.append(*rows("c"))
    one.forgotten = Forgotten("", {Forgotten().digest("gone"): "now"})
    for file in one.turn():
        one.become_shard(file)
    assert set(heard.news().ids.to_pylist()) == {"b", "c"}
    assert heard.news().ids.to_pylist() == []
    assert late.news().ids.to_pylist() == ["b", "c"]


@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 360), byte=st.integers(0, 255))
def test_a_changed_byte_is_told_with_its_place_and_costs_one_line(tmp_path_factory, place, byte):
    folder = tmp_path_factory.mktemp("journal")
    Journal(folder, folder, AFFINE).append(*rows("a", "b", "c"))
    [file] = folder.glob("*.jsonl")
    data = bytearray(file.read_bytes())
    place %= len(data)
    if data[place] == byte or b"\n" in (bytes([byte]), data[place : place + 1]):
        return
    data[place] = byte
    file.write_bytes(data)
    start = data.rfind(b"\n", 0, place) + 1
    with pytest.raises(VectorIndexError, match=rf"is damaged at byte {start:,}, .* --without-damaged\.$"):
        Journal(folder, folder, AFFINE).news()
    lost: list[str] = []
    left = Journal(folder, folder, AFFINE, lost.append).news().ids.to_pylist()
    assert left == [name for at, name in enumerate("abc") if at != data[:place].count(b"\n")]
    assert len(lost) == 1


def test_a_damaged_shard_is_told_and_the_others_are_heard(journal_of, tmp_path):
    one, lost = journal_of(), []
    one.append(*rows("a"))
    for file in one.turn():
        one.become_shard(file)
    one.append(*rows("b"))
    [shard] = (tmp_path / "shards").glob("*.parquet")
    data = bytearray(shard.read_bytes())
    data[20] ^= 1
    shard.write_bytes(data)
    with pytest.raises(VectorIndexError, match=rf"{shard} is damaged in .*, between the bytes 4 and"):
        journal_of().news()
    other = Journal(one.folder, one.shards, AFFINE, lost.append)
    assert other.news().ids.to_pylist() == ["b"]
    assert str(shard) in lost[0]


def test_what_fails_in_the_block_leaves_nothing_and_the_next_is_read(journal_of):
    one, other = journal_of(), journal_of()
    with pytest.raises(ZeroDivisionError), one.entry(*rows("a")) as write:
        write()
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), one.entry(*rows("b", "bb")):
        raise ZeroDivisionError
    one.append(*rows("c"))
    assert other.news().ids.to_pylist() == ["c"]


def test_while_it_is_not_written_others_see_nothing_of_it(journal_of):
    one, other = journal_of(), journal_of()
    with one.entry(*rows("a", "b")) as write:
        assert other.news().ids.to_pylist() == []
        write()
    assert other.news().ids.to_pylist() == ["a", "b"]


def killed_within(journal: Journal, names: str) -> None:
    """Leaves the entry as a kill would, and lets the file's lock go."""
    with contextlib.suppress(KeyboardInterrupt), pytest.MonkeyPatch.context() as kill:
        kill.setattr(os, "ftruncate", lambda *_: None)
        with journal.entry(*rows(*names)):
            raise KeyboardInterrupt
    journal.opened.close()


def test_what_a_kill_has_interrupted_is_told_until_it_is_taken_back(journal_of):
    one, other, asked = journal_of(), journal_of(), []
    one.append(*rows("a"))
    killed_within(one, "bc")
    assert other.news().ids.to_pylist() == ["a"]
    for answers in (False, True, True):
        other.settle(lambda ids, answers=answers: (asked.append(ids), answers)[1])
    assert asked == [["b", "c"], ["b", "c"]]
    [file] = other.settled()
    other.become_shard(file)
    assert pq.read_table(other.shards)["pin_id"].to_pylist() == ["a"]


def test_until_it_is_taken_back_the_file_stays(journal_of):
    one, other = journal_of(), journal_of()
    killed_within(one, "a")
    other.settle(lambda ids: False)
    assert len(other.turn()) == 1  # its own
    assert len(other.closed()) == 2


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(0, 400), counts=st.integers(0, 3))
def test_wherever_a_kill_cuts_every_pin_counts_or_is_pending_or_was_not_sent(tmp_path_factory, cut, counts):
    """counts: lines that already count when the kill comes."""
    folder = tmp_path_factory.mktemp("journal")
    lines = as_lines(*rows("a", "b", "c"))
    split = [line + b"\n" for line in lines.split(b"\n")[:-1]]
    data = b"".join(split[:counts]) + pending(b"".join(split[counts:]))
    file = folder / "1-killed.jsonl"
    file.write_bytes(data if counts else data[:cut])
    journal, told = Journal(folder, folder, AFFINE), []
    known = journal.news().ids.to_pylist()
    journal.settle(lambda ids: (told.extend(ids), True)[1])
    assert known == ["a", "b", "c"][:counts]
    assert told == ["a", "b", "c"][counts : 3 if counts else data[:cut].count(b"\r")]


def test_a_damaged_journal_becomes_a_shard_without_that_line_and_is_kept(journal_of):
    one, lost = journal_of(), []
    one.append(*rows("a", "b"))
    [file] = one.turn()
    file.write_bytes(file.read_bytes().replace(b'"a"', b'"x"'))
    one.lose = lost.append
    one.become_shard(file)
    assert pq.read_table(one.shards)["pin_id"].to_pylist() == ["b"]
    assert file.with_suffix(".damaged").is_file()
    assert len(lost) == 1
