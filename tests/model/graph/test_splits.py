"""The split: whole groups, the share asked for, the newest where time decides, and the same in any order of rows."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import SplitConfig
from model.data.catalogue import TIME
from model.errors import CatalogueError
from model.graph.splits import fresh_pins, held_out, split_pins, uniform_hash


def table(groups, times=None) -> pa.Table:
    """A Pin a group name (None: a Pin alone), made at the second `times`."""
    times = [None] * len(groups) if times is None else [t if t is None else t * 1_000_000 for t in times]
    ids = [f"p{i}" for i in range(len(groups))]
    return pa.table(
        {"pin_id": ids, "group_id": pa.array(groups, pa.string()), "created_at": pa.array(times, pa.int64()).cast(TIME)}
    )


def fresh_ids(pins: pa.Table, **settings) -> set[str]:
    fresh = fresh_pins(pins, SplitConfig(**settings), seed=3)
    return {pin for pin, new in zip(pins["pin_id"].to_pylist(), fresh, strict=True) if new}


@given(st.lists(st.integers(0, 30), min_size=40, max_size=120), st.booleans(), st.randoms())
def test_no_group_is_divided_in_any_order_of_rows(numbers, by_time, random):
    times = [random.randrange(50) for _ in numbers] if by_time else None
    pins = table([f"g{n}" for n in numbers], times)
    try:
        fresh = fresh_ids(pins)
    except CatalogueError:  # one large new group, or no hash below the share
        return
    groups = dict(zip(pins["pin_id"].to_pylist(), pins["group_id"].to_pylist(), strict=True))
    assert not {groups[pin] for pin in fresh} & {groups[pin] for pin in groups.keys() - fresh}
    order = list(range(len(numbers)))
    random.shuffle(order)
    assert fresh_ids(pins.take(order)) == fresh


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("times", [None, range(5000)])
def test_the_fresh_share_is_near_what_was_asked_for(share, times):
    assert len(fresh_ids(table([None] * 5000, times), fresh_share=share)) == pytest.approx(5000 * share, rel=0.1)


def test_by_time_the_newest_groups_are_fresh():
    """Group c has the newest Pin of all, and takes its old one with it; two groups fill 4 of 10 Pins."""
    groups = ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"]
    times = [1, 2, 8, 3, 9, 0, 4, 4, 5, 5]
    assert fresh_ids(table(groups, times), fresh_share=0.4) == {"p2", "p3", "p4", "p5"}
    assert fresh_ids(table(groups, times), fresh_share=0.59) == {"p2", "p3", "p4", "p5"}


def test_a_newest_group_that_does_not_fit_is_left_to_training():
    """`big` has the newest Pin and 3 of 10; the next newest that fits is c, then no room is left for d."""
    groups = ["big", "big", "big", "c", "c", "d", "e", "e", "f", "f"]
    times = [9, 1, 1, 8, 0, 7, 2, 2, 3, 3]
    assert fresh_ids(table(groups, times), fresh_share=0.2) == {"p3", "p4"}
    assert fresh_ids(table(groups, times), fresh_share=0.1) == {"p5"}


@given(st.lists(st.integers(1, 12), min_size=2, max_size=30), st.floats(0.05, 0.6), st.randoms())
def test_whatever_the_sizes_some_pins_are_fresh_and_not_too_many(sizes, share, random):
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    pins = table(groups, [random.randrange(100) for _ in groups])
    if min(sizes) > int(share * len(groups)):
        with pytest.raises(CatalogueError, match=r"of the Pins, so map group_id to a finer column"):
            fresh_pins(pins, SplitConfig(fresh_share=share), 3)
        return
    fresh = fresh_pins(pins, SplitConfig(fresh_share=share), 3)
    assert 0 < fresh.mean() <= share


@pytest.mark.parametrize("seed", range(20))
def test_by_hash_few_groups_are_split_too(seed):
    """Of 6 equal groups and one with half of the Pins, a third of all draws is none or mostly the large one."""
    pins = table([f"g{i}" for i in range(6)] + ["big"] * 6)
    assert 0 < fresh_pins(pins, SplitConfig(by="hash", fresh_share=0.2), seed).mean() <= 0.4


def test_auto_needs_a_time_for_every_pin():
    groups, times = [None] * 200, list(range(199))
    by_hash = fresh_ids(table(groups), by="hash")
    assert fresh_ids(table(groups, [*times, None])) == by_hash
    assert fresh_ids(table(groups, [*times, 200]), by="hash") == by_hash
    assert fresh_ids(table(groups, [*times, 200])) == {f"p{i}" for i in range(160, 200)}
    with pytest.raises(CatalogueError, match=r"some Pins have no created_at; fill it or choose split\.by=hash"):
        fresh_ids(table(groups, [*times, None]), by="time")


@pytest.mark.parametrize("times", [None, range(9)])
def test_one_group_cannot_be_split(times):
    with pytest.raises(CatalogueError, match="The 1 groups of the catalogue cannot be split"):
        fresh_ids(table(["all"] * 9, times))


def test_a_fact_is_the_pin_and_the_words():
    """A board's title and a query of the same words are one fact of the Pin, however they are written."""
    pins = [f"p{i}" for i in range(2000)]
    drawn = held_out(pins, ["Tea Time"] * 2000, 0.1, seed=0)
    assert np.array_equal(drawn, held_out(pins, [" tea time "] * 2000, 0.1, seed=0))
    assert drawn.mean() == pytest.approx(0.1, abs=0.02)
    assert not np.array_equal(drawn, held_out(pins, ["coffee"] * 2000, 0.1, seed=0))
    assert not np.array_equal(drawn, held_out(pins, ["Tea Time"] * 2000, 0.1, seed=1))
    assert not held_out(pins, ["Tea Time"] * 2000, 0.0, seed=0).any()


def test_the_seed_moves_the_split():
    pins = table([None] * 200)
    assert not np.array_equal(fresh_pins(pins, SplitConfig(), 0), fresh_pins(pins, SplitConfig(), 1))


@given(st.lists(st.text(), max_size=20), st.text())
def test_a_hash_is_its_keys_own(keys, salt):
    numbers = uniform_hash(keys, salt)
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert np.array_equal(uniform_hash(keys[::-1], salt), numbers[::-1])


def test_hashes_are_uniform_and_the_same_on_every_machine():
    numbers = uniform_hash([str(i) for i in range(10_000)], "salt")
    assert np.histogram(numbers, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 1000), rel=0.12)
    assert uniform_hash(["pin"], "salt")[0] == float.fromhex("0x1.50f377c99450ap-1")


@given(st.lists(st.integers(0, 30), min_size=60, max_size=120), st.sampled_from(["fresh", "validation"]))
def test_a_smaller_share_is_a_subset_of_whole_groups_and_the_judged_pins_stay(numbers, judge):
    pins, shares = table([f"g{n}" for n in numbers]), (0.25, 0.5, 1.0)
    try:
        found = [split_pins(pins, SplitConfig(train_share=share, judge=judge), 3) for share in shares]
    except CatalogueError:  # no hash below a share
        return
    for small, large in itertools.pairwise(found):
        assert not (small.training & ~large.training).any()
        assert np.array_equal(small.fresh, large.fresh)
    groups = np.array(numbers)
    for split in found:
        assert not (split.training & split.fresh).any()
        assert not set(groups[split.training]) & set(groups[~split.training])


@pytest.mark.parametrize("times", [None, range(5000)])
def test_validation_never_meets_the_fresh_pins(times):
    pins = table([None] * 5000, times)
    whole, chosen = (split_pins(pins, SplitConfig(judge=judge), 3) for judge in ("fresh", "validation"))
    assert np.array_equal(whole.training, ~whole.fresh)
    assert not ((chosen.training | chosen.fresh) & whole.fresh).any()
    assert np.array_equal(chosen.training | chosen.fresh, whole.training)
    assert chosen.fresh.sum() == pytest.approx(0.2 * whole.training.sum(), rel=0.1)


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(CatalogueError, match=r"split\.train_share 0\.0001 leaves no Pin to train on"):
        split_pins(table([None] * 50), SplitConfig(train_share=0.0001), 3)
