"""The four tasks on five Pins whose answers are known, and what a real folder becomes for each scope."""

import numpy as np
import pytest
import scipy.sparse as sp

from model.config.overrides import override
from model.evaluation.tasks import EvaluationScope, Task, evaluation_scope, related_task, search_task, text_tasks
from model.graph.neighbourhood import read_fresh


def matrix(facts, columns) -> sp.csr_matrix:
    pins, others = zip(*facts, strict=True)
    return sp.csr_matrix((np.ones(len(facts), np.float32), (pins, others)), shape=(5, columns))


# Pins 0 and 1 are one group. Board A has 0, 1, 2 and board B has 2, 3; training was told of all but 0 on A and 3 on B.
TOLD_BOARDS, BOARDS = [(1, 0), (2, 0), (2, 1)], [(0, 0), (1, 0), (2, 0), (2, 1), (3, 1)]
TOLD_WORDS, WORDS = [(0, 0)], [(0, 0), (3, 0), (2, 1)]
HAND = EvaluationScope(
    pins=np.arange(5),
    texts=["tea", "cup", "", "tea", "pot"],
    groups=np.array([0, 0, 1, 2, 3]),
    training_boards=matrix(TOLD_BOARDS, 2),
    boards=matrix(BOARDS, 2),
    training_words=matrix(TOLD_WORDS, 2),
    words=matrix(WORDS, 2),
    vocabulary=["tea", "cups"],
)


def answers(task: Task) -> dict[int, tuple[list[int], list[int]]]:
    """{who asks: (relevant, excluded)}"""
    excluded = task.excluded or [[]] * len(task.asking)
    rows = zip(task.asking.tolist(), task.relevant, excluded, strict=True)
    return {row: (sorted(map(int, good)), sorted(map(int, gone))) for row, good, gone in rows}


def test_image_to_text_and_back():
    to_text, to_image, speakers = text_tasks(HAND)
    assert speakers.tolist() == [0, 1, 4]  # tea, cup, pot
    assert answers(to_text) == {0: ([0], []), 1: ([1], []), 3: ([0], []), 4: ([2], [])}
    assert answers(to_image) == {0: ([0, 3], []), 1: ([1], []), 2: ([4], [])}


def test_the_pins_that_speak_for_texts_rise(walked):
    """Their vectors are read in that order, a part of a shard at a time."""
    assert (np.diff(text_tasks(evaluation_scope(*walked, only_fresh=False))[2]) > 0).all()


def test_related_pins():
    """Not its own group, not what training was told: 1 and 2 are both known to be on board A."""
    assert answers(related_task(HAND, most=10, seed=0)) == {
        0: ([2], [0, 1]),
        1: ([], [0, 1, 2]),
        2: ([0, 3], [1, 2]),
        3: ([2], [3]),
    }


def test_search():
    """Training was told that tea leads to Pin 0; nobody saved or clicked for coffee."""
    assert answers(search_task(HAND, ["cups", "coffee", "tea"])) == {0: ([2], []), 2: ([3], [0])}


def test_only_rows_with_an_answer_are_asked_and_no_more_than_wanted():
    related = related_task(HAND, most=10, seed=0)
    assert related.sampled(10, seed=0).asking.tolist() == [0, 2, 3]
    two = related.sampled(2, seed=0)
    assert len(two.asking) == 2
    assert answers(two).items() <= answers(related).items()
    assert answers(related.sampled(2, seed=0)) == answers(two)
    assert answers(Task(np.arange(2), [np.array([1]), np.array([])]).sampled(5, 0)) == {0: ([1], [])}


def test_at_most_so_many_pins_ask_for_related_ones():
    assert len(related_task(HAND, most=2, seed=0).asking) == 2


def test_without_boards_queries_or_texts_nobody_asks():
    nothing = sp.csr_matrix((5, 0), dtype=np.float32)
    empty = EvaluationScope(np.arange(5), [""] * 5, np.arange(5), nothing, nothing, nothing, nothing, [])
    for task in (*text_tasks(empty)[:2], related_task(empty, 10, 0), search_task(empty, ["tea"])):
        assert len(task.sampled(10, 0).asking) == 0


@pytest.fixture
def by_hand(catalogue_of, picture, config):
    """20 Pins, a day apart, in groups of two of which the last two are fresh; all on one board, all clicked for tea."""
    pins = [
        {"pin_id": f"p{i:02d}", "image": picture(i), "annotations": ["a", f"{i}"], "group_id": f"g{i // 2:02d}",
         "created_at": i * 86_400_000_000} for i in range(20)
    ]  # fmt: skip
    pins[0] |= {"title": "first", "group_id": None, "pin_id": "g01"}  # its name is another's group
    boards = [{"board_id": "B", "pin_id": row["pin_id"], "title": "Tea time"} for row in pins]
    queries = [{"query": "tea", "pin_id": row["pin_id"]} for row in pins]
    config = override(config, {"split": {"heldout_edges": 0, "fresh_share": 0.1}})
    return catalogue_of(pins, boards, queries, config=config)


def test_the_ground_of_all_pins(by_hand):
    g = evaluation_scope(*by_hand, only_fresh=False)
    assert g.pins.tolist() == list(range(20))
    assert g.texts[:2] == ["first", "a, 1"]
    assert (g.groups[0] == g.groups[1:]).sum() == 0
    assert all(g.groups[i] == g.groups[i + 1] for i in range(2, 20, 2))
    assert sorted(g.vocabulary) == ["Tea time", "tea"]
    assert g.boards.sum() == 20
    assert g.training_boards.sum() == 18
    assert (g.words.sum(), g.training_words.sum()) == (40, 36)


def test_over_all_pins_only_what_was_held_out_is_right(by_hand):
    """Here that is what joins a fresh Pin: the training Pins know each other."""
    related = answers(related_task(evaluation_scope(*by_hand, only_fresh=False), 20, 0))
    assert related[2] == ([18, 19], list(range(18)))
    assert related[18] == (list(range(18)), [18, 19])
    assert answers(search_task(evaluation_scope(*by_hand, only_fresh=False), ["tea"])) == {
        0: ([18, 19], list(range(18)))
    }


def test_over_fresh_pins_every_fact_counts(by_hand):
    assert np.flatnonzero(read_fresh(by_hand[1])).tolist() == [18, 19]
    g = evaluation_scope(*by_hand, only_fresh=True)
    assert g.pins.tolist() == [18, 19]
    assert g.training_boards.nnz == g.training_words.nnz == 0
    assert answers(related_task(g, 20, 0)) == {0: ([], [0, 1]), 1: ([], [0, 1])}  # one group
    assert answers(search_task(g, ["tea"])) == {0: ([0, 1], [])}
    assert answers(text_tasks(g)[0]) == {0: ([0], []), 1: ([1], [])}


def test_related_pins_of_the_generated_catalogue_are_those_of_sets(walked):
    """Every fresh Pin against the sets of its boards and groups."""
    g = evaluation_scope(*walked, only_fresh=True)
    boards = [set(row.indices) for row in g.boards]
    task = answers(related_task(g, 1000, 0))
    assert sorted(task) == [pin for pin in range(len(g.pins)) if boards[pin]]
    for pin, (relevant, excluded) in task.items():
        group = [other for other in range(len(g.pins)) if g.groups[other] == g.groups[pin]]
        assert excluded == group
        assert relevant == [p for p in range(len(g.pins)) if boards[p] & boards[pin] and p not in group]
    assert sum(len(relevant) for relevant, _ in task.values()) > 20
