"""What an import keeps on disk: names, ids and pairs, with few of them in memory."""

import random
import sqlite3

import pytest

from model.sources.importer import scratch as module
from model.sources.importer.pairs import Seen
from model.sources.importer.scratch import Names, scratch
from model.sources.importer.values.id_spellings import Spellings


@pytest.fixture(params=[3, 10_000])
def db(request, tmp_path, monkeypatch):
    """With room for 3 names and 8 kB, or for all."""
    monkeypatch.setattr(module, "RECENT", request.param)
    monkeypatch.setattr(module, "CACHE", 8 * 1024 if request.param == 3 else 2**20)
    with scratch(tmp_path / "scratch.sqlite") as opened:
        yield opened


def test_names_are_numbered_in_order(db):
    names, expected = Names(db, "names"), dict[str, int]()
    rng = random.Random(0)
    for _ in range(200):
        some = [rng.choice(["", "\0", "a\0b", "'", "ä", "😀"]) + str(rng.randrange(2000)) for _ in range(20)]
        assert names.find(some) == {name: expected[name] for name in some if name in expected}
        for name in some:
            expected.setdefault(name, len(expected))
        assert names.add(some) == {name: expected[name] for name in some}
    assert len(names) == len(expected) > 1000
    assert names.find(list(expected)) == expected
    assert names.first() == next(iter(expected))


def test_ids_in_two_spellings_whatever_is_in_memory(db):
    ids = Spellings(db, "ids")
    ids.add([f"{number}.0" for number in range(700)])
    ids.add(["5.00", *(f"x{number}" for number in range(700))])
    found = ids.find([str(number) for number in range(700)])
    assert found == {str(number): (number, f"{number}.0") for number in range(700) if number != 5}


def test_pairs_are_new_once(db):
    seen, expected = Seen(db, "seen"), set[tuple[int, int]]()
    rng = random.Random(1)
    for _ in range(50):
        left, right = ([rng.randrange(40) << 25 for _ in range(100)] for _ in "ab")
        assert seen.new(left, right).tolist() == [
            pair not in expected and not expected.add(pair) for pair in zip(left, right, strict=True)
        ]
    assert seen.new([], []).tolist() == []


def test_the_file_goes_with_an_error(tmp_path):
    with pytest.raises(sqlite3.Error), scratch(tmp_path / "a ?#%.sqlite") as db:
        db.execute("no SQL")
    assert list(tmp_path.iterdir()) == []
