"""The retrieval tasks: who asks, who may answer, which answers are right.

  image_to_text  an image finds its Pin's text among the distinct texts
  text_to_image  a text finds the images of the Pins that carry it
  related_pins   a Pin finds Pins that share a board with it
  search         a query finds Pins that were clicked for it

Over all Pins only held-out edges count as right, and what training saw (and so may simply remember) is taken out of the
candidates. Over fresh Pins all edges count: training saw none of them. A Pin's own group, other variants of the same
thing, is neither right nor a candidate for Related Pins: finding a copy is no recommendation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.graph.neighbourhood import Edges, read_edges, read_fresh, read_texts
from model.graph.splits import group_names


@dataclass(frozen=True)
class Task:
    """Rows index the Pins of the scope (or the distinct texts, the queries) as the task says.

    asking (Q,): rows that ask;  relevant[q], excluded[q]: candidate rows.
    """

    asking: np.ndarray
    relevant: list[np.ndarray]
    excluded: list[np.ndarray] | None = None

    def sampled(self, most: int, seed: int) -> "Task":
        """At most `most` asking rows that have an answer, drawn by seed."""
        answerable = np.flatnonzero([len(r) > 0 for r in self.relevant])
        if len(answerable) > most:
            answerable = np.sort(np.random.default_rng(seed).choice(answerable, size=most, replace=False))
        kept = lambda lists: [lists[i] for i in answerable]  # noqa: E731
        return Task(self.asking[answerable], kept(self.relevant), kept(self.excluded) if self.excluded else None)


@dataclass(frozen=True)
class EvaluationScope:
    """Everything that the tasks of one scope need, rows renumbered to the Pins of the scope."""

    pins: np.ndarray  # (n,) rows in the catalogue
    texts: list[str]  # (n,) first text of each Pin, "" without
    groups: np.ndarray  # (n,) group number
    training_boards: sp.csr_matrix  # (n, boards) edges that training saw
    boards: sp.csr_matrix  # (n, boards) all edges
    training_words: sp.csr_matrix  # (n, words)
    words: sp.csr_matrix
    vocabulary: list[str]


def evaluation_scope(prepared: Path, neighbours: Path, only_fresh: bool) -> EvaluationScope:
    catalogue = Catalogue(prepared / "catalogue")
    pins = np.flatnonzero(read_fresh(neighbours)) if only_fresh else np.arange(catalogue.count("pins"))
    table = catalogue.read("pins", ["pin_id", "group_id", *TEXT_SIGNALS])
    groups = group_names(table)
    firsts = first_texts(table)
    edges, (text_edges, vocabulary) = read_edges(neighbours), read_texts(neighbours)
    return EvaluationScope(
        pins=pins,
        texts=[firsts[pin] for pin in pins],
        groups=np.unique(np.asarray(groups), return_inverse=True)[1][pins],
        training_boards=_matrix(edges, len(groups), training_only=True)[pins],
        boards=_matrix(edges, len(groups), training_only=False)[pins],
        training_words=_matrix(text_edges, len(groups), training_only=True, width=len(vocabulary))[pins],
        words=_matrix(text_edges, len(groups), training_only=False, width=len(vocabulary))[pins],
        vocabulary=vocabulary,
    )


def first_texts(pins: pa.Table) -> list[str]:
    """The first of TEXT_SIGNALS that each Pin has, "" without."""
    signals = [joined_texts(pins[name].to_pylist()) for name in TEXT_SIGNALS]
    return [next((text for text in texts if text), "") for texts in zip(*signals, strict=True)]


def text_tasks(scope: EvaluationScope) -> tuple[Task, Task, np.ndarray]:
    """(image_to_text, text_to_image, a Pin row for each distinct text: its vector stands for the text).

    The texts stand in the order in which they first appear, so that those rows rise.
    """
    distinct, speaker, number = np.unique(np.asarray(scope.texts), return_index=True, return_inverse=True)
    order = np.argsort(speaker)
    distinct, speaker, number = distinct[order], speaker[order], np.argsort(order)[number]
    empty = distinct == ""
    place = np.cumsum(~empty) - 1  # distinct text -> candidate row
    asking = np.flatnonzero(~empty[number])
    to_text = Task(asking, [np.array([place[number[pin]]]) for pin in asking])
    by_text = np.argsort(number, kind="stable")
    carriers = np.split(by_text, np.flatnonzero(np.diff(number[by_text])) + 1)
    to_image = Task(np.arange((~empty).sum()), [c for c, skip in zip(carriers, empty, strict=True) if not skip])
    return to_text, to_image, speaker[~empty]


def related_task(scope: EvaluationScope, most: int, seed: int) -> Task:
    saved = np.flatnonzero(np.diff(scope.boards.indptr))
    asking = np.sort(np.random.default_rng(seed).permutation(saved)[:most])
    together, told = (x[asking] @ x.T for x in (scope.boards, scope.training_boards))
    own = _members(scope.groups)[scope.groups[asking]]
    known = [np.concatenate(pair) for pair in zip(_pairs(told), _pairs(own), strict=True)]
    return Task(asking, *_answers(_pairs(together), known, (len(asking), len(scope.pins))))


def search_task(scope: EvaluationScope, queries: list[str]) -> Task:
    """Asking rows index `queries`, the distinct queries of the catalogue."""
    column = {text: i for i, text in enumerate(scope.vocabulary)}
    asking = np.array([i for i, query in enumerate(queries) if query in column], dtype=np.int64)
    columns = np.array([column[queries[i]] for i in asking], dtype=np.int64)
    clicked, told = (x.T.tocsr()[columns] for x in (scope.words, scope.training_words))
    return Task(asking, *_answers(_pairs(clicked), _pairs(told), (len(asking), len(scope.pins))))


def _answers(
    facts: Sequence[np.ndarray], known: Sequence[np.ndarray], shape: tuple[int, int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(relevant, excluded) of each query: candidates of `facts` but not of `known`, and those of `known`, rising.

    Args:
        facts, known: (query, candidate) of each pair.
        shape: (queries, candidates).
    """
    queries, candidates = shape
    stated, told = (np.unique(query.astype(np.int64) * candidates + place) for query, place in (facts, known))

    def by_query(pairs: np.ndarray) -> list[np.ndarray]:
        ends = np.searchsorted(pairs, np.arange(1, queries + 1) * candidates)
        return np.split(pairs % max(candidates, 1), ends)[:queries]

    return by_query(np.setdiff1d(stated, told, assume_unique=True)), by_query(told)


def _pairs(matrix: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) of what is there."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices


def _members(groups: np.ndarray) -> sp.csr_matrix:
    """(groups, Pins): who is of which group."""
    return sp.csr_matrix((np.ones(len(groups)), (groups, np.arange(len(groups)))))


def _matrix(edges: Edges, pins: int, training_only: bool, width: int | None = None) -> sp.csr_matrix:
    kept = ~edges.held_out if training_only else np.ones(len(edges.pin), dtype=bool)
    columns = width if width is not None else (int(edges.other.max()) + 1 if len(edges.other) else 0)
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    return sp.csr_matrix((ones, (edges.pin[kept], edges.other[kept])), shape=(pins, columns))
