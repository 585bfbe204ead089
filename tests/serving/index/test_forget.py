"""A forgotten Pin leaves no row, no id and no time of deletion; everything else stays as it was."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from indexed_pins import at

from serving.index import PinIndex

SMALL = 60


def changed(built, kind):
    """An index with changes of each sort: in the base, pushed anew, pushed, deleted."""
    index = built(kind, SMALL)
    codes_NE = np.full((2, index.affine.dim), 7, dtype=np.int8)
    index.upsert(["p3", "new"], codes_NE, at(5, 5))
    index.delete(["p4"], at(5))
    return index


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf"])
@given(gone=st.sets(st.sampled_from(["p1", "p2", "p3", "p4", "new", "unknown"])))
def test_all_others_stay_value_for_value(built, kind, gone):
    index = changed(built, kind)
    before = {pin_id: index.vectors([pin_id]) for pin_id in index.ids()}
    assert index.forget(gone) == len(gone - {"unknown"})
    assert index.ids() == before.keys() - gone
    for pin_id in before.keys() - gone:
        assert all(np.array_equal(*pair) for pair in zip(index.vectors([pin_id]), before[pin_id], strict=True))
    assert index.vectors(sorted(gone))[1].all()
    found = index.search(before["p1"][0], k=SMALL, effort=SMALL * 4)[0]
    assert gone.isdisjoint(found.ravel())
    assert index.forget(gone) == 0


def test_what_is_saved_has_no_trace(built, tmp_path):
    index = changed(built, "hnsw")
    index.save(tmp_path / "index")
    index.delete(["p17"])
    index.forget(["p17", "p4", "new"])
    index.save(tmp_path / "index")
    for file in (tmp_path / "index").rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        assert b"p17" not in data and b'"p4"' not in data and b"new" not in data
    assert PinIndex.open(tmp_path / "index", "v7").ids() == index.ids()


def test_pushes_beside_it_are_kept_and_the_pin_is_unseen_from_the_first_moment(built, monkeypatch):
    index, seen = built("exact", SMALL), []
    base = type(index._state.base)
    rebuilt = base.rebuilt

    def slow(self, *arguments):
        seen.append(index.vectors(["p5"])[1][0])
        writer = threading.Thread(
            target=index.upsert, args=(["while"], np.zeros((1, index.affine.dim), np.int8), at(9))
        )
        writer.start()
        writer.join()
        return rebuilt(self, *arguments)

    monkeypatch.setattr(base, "rebuilt", slow)
    index.forget(["p5"])
    assert seen == [True]
    assert "while" in index.ids() and "p5" not in index.ids()
