"""Questions: the tasks of a scope with rows of the catalogue, whose mean recall is that of the evaluation."""

import numpy as np
import pytest

from model.evaluation.evaluate import pinclip_vectors, retrieval_metrics
from model.evaluation.questions import Question, answered, questions, sampled
from model.evaluation.tasks import evaluation_scope


@pytest.mark.parametrize("only_fresh", [True, False])
def test_the_mean_is_the_figure_of_the_evaluation(walked, embedded, config, only_fresh):
    g, space = evaluation_scope(*walked, only_fresh), pinclip_vectors(embedded)
    judged, asked = retrieval_metrics(space, g, config), questions(g, space.queries, config)
    figures = {**judged["pintext"], "related_pins": judged["related_pins"], "search": judged["search"]}
    assert set(asked) == set(figures)
    for task, question in asked.items():
        found = answered({task: question}, space.tables)[task]
        assert question.recall(found).mean() == pytest.approx(figures[task]["recall@10"], abs=1e-5)


def test_recall_by_hand():
    """Of twelve right answers ten fit; of two, one was found."""
    relevant = [np.arange(12), np.array([3, 5])]
    question = Question("pin", "pin", np.arange(2), np.arange(20), relevant, None, np.arange(2))
    found = np.array([[0, 1, 2, 3, 4, 15, 16, 17, 18, 19], [5, 0, 1, 2, -1, -1, -1, -1, -1, -1]])
    assert question.room.tolist() == [10, 2]
    assert question.recall(found).tolist() == [0.5, 0.5]


def test_a_sampled_scope_is_a_scope_of_fewer_pins(walked, config):
    g = evaluation_scope(*walked, only_fresh=False)
    small = sampled(g, 50, seed=0)
    assert len(small.pins) == len(small.texts) == small.boards.shape[0] == 50
    rows = {pin: i for i, pin in enumerate(g.pins)}
    places = [rows[pin] for pin in small.pins]
    assert small.texts == [g.texts[i] for i in places]
    assert (small.boards != g.boards[places]).nnz == 0
    assert sampled(g, len(g.pins), seed=0) is g
    assert (sampled(g, 50, seed=1).pins != small.pins).any()
    assert all(question.candidates.max() < len(g.pins) for question in questions(small, [], config).values())
