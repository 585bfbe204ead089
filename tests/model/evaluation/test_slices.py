"""Recall by slice: worked by hand, adding up to the recall of all, and gaps that only count where they are sure."""

import numpy as np
import pyarrow as pa
import pytest

from model.config.overrides import override
from model.data.catalogue import CatalogueWriter
from model.embedding.columns import VectorColumn
from model.evaluation.evaluate import pinclip_vectors
from model.evaluation.questions import Question, answered, questions
from model.evaluation.slices import OTHERS, UNSTATED, slices
from model.evaluation.tasks import evaluation_scope


@pytest.fixture
def sliced(tmp_path, picture):
    """Call with a value of slice_kind for every Pin: a prepared folder."""

    def build(kinds):
        with CatalogueWriter(tmp_path / "catalogue") as writer:
            ids, images = [f"p{i:03d}" for i in range(len(kinds))], [picture(0)] * len(kinds)
            writer.write("pins", pa.table({"pin_id": ids, "image": images, "slice_kind": kinds}))
        return tmp_path

    return build


def found_by_design(right: list[bool]):
    """(tables, question): asker i finds its own candidate i first where right[i] says so, else nothing of its own."""
    eye = np.eye(len(right), dtype=np.float32)
    tables = {"pin": VectorColumn.of(eye * np.where(right, 1, -1)[:, None]), "image": VectorColumn.of(eye)}
    rows = np.arange(len(right))
    return tables, Question("pin", "image", rows, rows, [np.array([i]) for i in rows], None, rows)


def least(config, queries):
    return override(config, {"evaluation": {"min_slice_queries": queries}})


def measured(tables, asked, folder, config):
    """slices.json of what exact search finds in the tables."""
    found = {scope: answered(tasks, tables) for scope, tasks in asked.items()}
    return slices(asked, found, folder, config)


def column(result, task, scope="fresh"):
    return result["scopes"][scope][task]["columns"]["kind"]


def test_slices_of_the_pins_that_ask(sliced, config):
    """30 of a find all, 10 of 20 of b, and 20 of no stated kind nothing."""
    kinds = ["a"] * 30 + ["b"] * 20 + [None] * 20
    tables, question = found_by_design([True] * 30 + [True] * 10 + [False] * 30)
    result = measured(tables, {"fresh": {"image_to_text": question}}, sliced(kinds), least(config, 20))
    rows = {row["slice"]: row for row in column(result, "image_to_text")["slices"]}
    assert {name: (row["queries"], row["recall@10"]) for name, row in rows.items()} == {
        "a": (30, 1.0), "b": (20, 0.5), UNSTATED: (20, 0.0),
    }  # fmt: skip
    assert rows["a"]["gap"] == pytest.approx(1 - 1 / (4 / 7), abs=1e-4)
    assert rows["a"]["sure_gap"] == 0
    assert 0.25 < rows["b"]["low"] < 0.4 < 0.6 < rows["b"]["high"] < 0.75
    assert rows[UNSTATED]["high"] == 0.15  # the rule of three: 3 of 20
    assert rows[UNSTATED]["sure_gap"] == pytest.approx(1 - 0.15 / (4 / 7), abs=1e-4)
    assert (result["largest"]["slice"], result["largest"]["task"]) == (UNSTATED, "image_to_text")


def test_slices_of_few_queries_are_merged_or_left_out(sliced, config):
    kinds = ["a"] * 30 + ["b"] * 6 + ["c"] * 6
    tables, question = found_by_design([True] * 30 + [False] * 6 + [True] * 6)
    folder, asked = sliced(kinds), {"fresh": {"search": question}}
    merged = column(measured(tables, asked, folder, least(config, 10)), "search")
    assert [(row["slice"], row["queries"], row["recall@10"]) for row in merged["slices"]] == [
        ("a", 30, 1.0), (OTHERS, 12, 0.5),
    ]  # fmt: skip
    assert (merged["merged"], merged["left_out_queries"]) == (2, 0)
    left_out = column(measured(tables, asked, folder, least(config, 20)), "search")
    assert [row["slice"] for row in left_out["slices"]] == ["a"]
    assert (left_out["merged"], left_out["left_out_queries"]) == (2, 12)
    assert measured(tables, asked, folder, least(config, 10))["largest"] is None  # others cannot be named


def test_slices_of_the_pins_that_words_find(sliced, config):
    """One query, right are Pins 0 and 1 of a and 2 of b; it finds Pin 0 and seven wrong ones: recall 1/3.

    a has 2/3 of the query and won 1/3: recall 1/2. b has 1/3 and won nothing.
    """
    candidates = np.eye(20, dtype=np.float32)
    liking = np.linspace(1, 0.1, 20, dtype=np.float32)
    liking[[1, 2]] = -1  # found last
    tables = {"query": VectorColumn.of(liking[None]), "pin": VectorColumn.of(candidates)}
    question = Question("query", "pin", np.array([0]), np.arange(20), [np.array([0, 1, 2])], None, np.array([0]))
    kinds = ["a", "a", "b"] + ["c"] * 17
    result = measured(tables, {"fresh": {"search": question}}, sliced(kinds), least(config, 1))
    assert result["scopes"]["fresh"]["search"]["recall@10"] == 0.33333
    rows = {row["slice"]: (row["queries"], row["recall@10"]) for row in column(result, "search")["slices"]}
    assert rows == {"a": (1, 0.5), "b": (1, 0.0)}  # c was never right: no query counts for it


@pytest.mark.parametrize("scope", ["all", "fresh"])
def test_weighted_slices_add_up_to_the_recall_of_all(walked, embedded, config, scope):
    space = pinclip_vectors(embedded)
    asked = {scope: questions(evaluation_scope(*walked, scope == "fresh"), space.queries, config)}
    result = measured(space.tables, asked, walked[0], least(config, 1))
    for task in ("related_pins", "image_to_text"):
        found = result["scopes"][scope][task]
        assert set(found["columns"]) == {"region", "palette"}
        for table in found["columns"].values():
            total = sum(row["queries"] for row in table["slices"])
            mean = sum(row["queries"] * row["recall@10"] for row in table["slices"]) / total
            assert total == found["queries"]
            assert mean == pytest.approx(found["recall@10"], abs=1e-4)


def test_pairs_of_answers_add_up_too(walked, embedded, config):
    from model.evaluation.questions import answered
    from model.evaluation.slices import pairs_of_answers

    space = pinclip_vectors(embedded)
    for task in ("search", "text_to_image"):
        question = questions(evaluation_scope(*walked, False), space.queries, config)[task]
        found = answered({task: question}, space.tables)[task]
        pairs = pairs_of_answers(question, found)
        assert np.bincount(pairs.query_P, pairs.weight_P) == pytest.approx(np.ones(len(question.asking)))
        assert np.bincount(pairs.query_P, pairs.won_P) == pytest.approx(question.recall(found))


def test_luck_is_no_gap(sliced, config):
    """40 slices of 30 queries that all find half: some lie below, hardly any surely."""
    rng = np.random.default_rng(0)
    kinds = [f"k{i % 40:02d}" for i in range(1200)]
    tables, question = found_by_design((rng.random(1200) < 0.5).tolist())
    rows = column(measured(tables, {"fresh": {"search": question}}, sliced(kinds), config), "search")["slices"]
    assert max(row["gap"] for row in rows) > 0.2
    assert max(row["sure_gap"] for row in rows) < 0.2
    assert sum(row["sure_gap"] > 0 for row in rows) <= 3


def test_without_slice_columns_nothing_is_measured(tmp_path, picture, config):
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["a", "b"], "image": [picture(0)] * 2}))
    tables, question = found_by_design([True, False])
    result = measured(tables, {"fresh": {"search": question}}, tmp_path, config)
    assert result["scopes"]["fresh"]["search"]["columns"] == {}
    assert result["largest"] is None
