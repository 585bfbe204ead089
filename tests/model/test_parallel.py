"""Work in parts: its results come in the order of the parts, wherever they were worked on."""

from functools import partial

import pytest

from model.parallel import in_processes, in_threads, in_turn


def shifted(by, part):
    if part == 41:
        raise ValueError("The part 41 is bad.")
    return part + by


@pytest.mark.parametrize("each", [in_turn, in_threads, in_processes])
def test_results_come_in_the_order_of_the_parts(each):
    assert list(each(partial(shifted, 1), range(40))) == list(range(1, 41))
    assert not list(each(partial(shifted, 1), []))


@pytest.mark.parametrize("each", [in_turn, in_threads, in_processes])
def test_what_the_work_raises_comes_out(each):
    with pytest.raises(ValueError, match="41 is bad"):
        list(each(partial(shifted, 1), range(60)))
