"""The four tasks of one scope as questions: whose vectors ask, whose answer, what is right, and who is asked about.

Evaluation reads one mean a task from them; slices and the study of codes need every query.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from model.config import Config
from model.embedding.columns import VectorColumn
from model.embedding.retrieval import Search
from model.evaluation.metrics import flat, hits_of_pairs, recall_at_k
from model.evaluation.tasks import EvaluationScope, Task, related_task, search_task, text_tasks

K = 10
Vectors = Literal["pin", "image", "text", "query"]
Tables = Mapping[Vectors, VectorColumn]  # by row of the catalogue, or of the queries
Answers = Mapping[str, np.ndarray]  # by task (Q, K): the places that were found
Key = TypeVar("Key")


@dataclass(frozen=True)
class Question:
    """Places are those in `candidates`; rows are those of the vectors."""

    asks: Vectors
    answers: Vectors
    asking: np.ndarray  # (Q,) rows of the catalogue, or of the queries
    candidates: np.ndarray  # (N,) rows of the catalogue
    relevant: list[np.ndarray]  # of each query, places in `candidates`
    excluded: list[np.ndarray] | None
    groups: np.ndarray  # (Q,) queries of one group succeed and fail together

    @property
    def asks_in_words(self) -> bool:
        return self.asks in ("text", "query")

    @cached_property
    def right(self) -> tuple[np.ndarray, np.ndarray]:
        """(query, place) of every right answer, by query."""
        return flat(self.relevant)

    @cached_property
    def counts(self) -> np.ndarray:
        """(Q,): right answers of each query."""
        return np.bincount(self.right[0], minlength=len(self.relevant))

    @property
    def room(self) -> np.ndarray:
        """(Q,): the most right answers that K results can hold."""
        return np.minimum(self.counts, K)

    def hits(self, found_QK: np.ndarray) -> np.ndarray:
        """Bool (Q, K): is the place that was found a right one?"""
        return hits_of_pairs(found_QK, *self.right)

    def recall(self, found_QK: np.ndarray) -> np.ndarray:
        """(Q,): recall@10 of each query, given the places that were found for it."""
        return recall_at_k(self.hits(found_QK), self.counts, K)


def questions(scope: EvaluationScope, queries: list[str], config: Config) -> dict[str, Question]:
    """By task; the tasks without a single answerable query are absent. `queries`: as their vectors are numbered."""
    most, seed = config.evaluation.max_queries, config.seed
    to_text, to_image, speakers = text_tasks(scope)
    related, search = related_task(scope, most, seed), search_task(scope, queries)
    pins, texts = scope.pins, scope.pins[speakers]
    asked = {
        "related_pins": _question("pin", "pin", pins, pins, related.sampled(most, seed), scope.groups),
        "search": _question("query", "pin", np.arange(len(queries)), pins, search.sampled(most, seed), None),
        "image_to_text": _question("image", "text", pins, texts, to_text.sampled(most, seed), scope.groups),
        "text_to_image": _question("text", "image", texts, pins, to_image.sampled(most, seed), scope.groups[speakers]),
    }
    return {name: question for name, question in asked.items() if len(question.asking)}


def answered(asked: Mapping[Key, Question], tables: Tables) -> dict[Key, np.ndarray]:
    """(Q, K) of each question: the places that exact search finds. A column is read once for all that it answers."""
    searches = {key: Search(tables[one.asks][one.asking], K, one.excluded) for key, one in asked.items()}
    for name, column in tables.items():
        keys = [key for key, one in asked.items() if one.answers == name]
        for number, block_nE in column.blocks_of([asked[key].candidates for key in keys]):
            searches[keys[number]].add(block_nE)
    return {key: search.found()[0] for key, search in searches.items()}


def sampled(scope: EvaluationScope, most: int, seed: int) -> EvaluationScope:
    """At most `most` Pins of the scope, drawn by seed: a smaller scope of its own."""
    if len(scope.pins) <= most:
        return scope
    drawn = np.sort(np.random.default_rng(seed).choice(len(scope.pins), size=most, replace=False))
    rows = ("pins", "groups", "training_boards", "boards", "training_words", "words")
    return replace(scope, texts=[scope.texts[i] for i in drawn], **{name: getattr(scope, name)[drawn] for name in rows})


def _question(
    asks: Vectors, answers: Vectors, askers: np.ndarray, candidates: np.ndarray, task: Task, groups: np.ndarray | None
) -> Question:
    """askers, groups: of every row that task.asking may name; without groups each query is its own."""
    own = task.asking if groups is None else groups[task.asking]
    return Question(asks, answers, askers[task.asking], candidates, task.relevant, task.excluded, own)
