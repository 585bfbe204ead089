"""Recall@10 by slice: does the model serve every kind of Pin alike? One table a slice column of the catalogue.

    slices.json
      intervals      how the 95 % intervals are made
      least_queries  slices with fewer are merged with each other, or left out where even together they have fewer
      scopes         all and fresh: by task its recall@10, and by column its slices: recall@10, low, high, queries, gaps
      largest        the slice that lies furthest below all, by what is sure of its gap; null where none surely does

Related Pins and image → text count for the slice of the Pin that asks. A word has no slice, so Search and text → image
count for the slices of the Pins that are right: each right answer weighs 1 / (right answers of the query), and is worth
that share of the query's recall if it was found. The slices' values, so weighted, add up to the recall of all exactly;
a slice that words find more readily than others may even lie above 1.

gap: how far below all, as a share of it. sure_gap: the same at the upper end of the slice's interval, at least 0.
Shape legend: Q queries · S slices · K results · P pairs of a query and a Pin
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from model.blas import threads
from model.config import Config
from model.data.catalogue import SLICE_PREFIX, Catalogue
from model.evaluation.bootstrap import Bootstrap, ends
from model.evaluation.metrics import among, flat
from model.evaluation.questions import Answers, K, Question

UNSTATED, OTHERS = "not stated", "others"  # Pins without a value; the merged slices
INTERVALS = "95 %, percentile bootstrap over the groups that ask, 1,000 draws"


@dataclass(frozen=True)
class _Pairs:
    """Who counts for what: a query (place), a Pin (row of the catalogue), the pair's weight and what of it was won."""

    query_P: np.ndarray
    pin_P: np.ndarray
    weight_P: np.ndarray
    won_P: np.ndarray


@dataclass(frozen=True)
class _Values:
    """A slice column: its distinct values, and the number of each Pin's."""

    names: np.ndarray
    number: np.ndarray  # by row of the catalogue

    @staticmethod
    def of(column: pa.ChunkedArray) -> "_Values":
        stated = pc.if_else(pc.equal(pc.fill_null(column, ""), ""), UNSTATED, column)
        encoded = stated.combine_chunks().dictionary_encode()
        return _Values(np.array(encoded.dictionary.to_pylist(), dtype=object), encoded.indices.to_numpy())


def slices(
    asked: Mapping[str, Mapping[str, Question]], answers: Mapping[str, Answers], prepared: Path, config: Config
) -> dict[str, Any]:
    """The contents of slices.json. asked, answers: by scope and task; prepared: its catalogue has the slice columns."""
    catalogue = Catalogue(prepared / "catalogue")
    columns = [name for name in catalogue.columns("pins") if name.startswith(SLICE_PREFIX)]
    values = {name.removeprefix(SLICE_PREFIX): _Values.of(catalogue.read("pins", [name])[name]) for name in columns}
    with threads() as pool:
        tables = {
            (scope, task): pool.submit(_by_column, question, answers[scope][task], values, config)
            for scope, tasks in asked.items()
            for task, question in tasks.items()
        }
    scopes = {scope: {task: tables[scope, task].result() for task in tasks} for scope, tasks in asked.items()}
    least = config.evaluation.min_slice_queries
    return {"intervals": INTERVALS, "least_queries": least, "scopes": scopes, "largest": _largest(scopes)}


def _by_column(
    question: Question, found_QK: np.ndarray, values: Mapping[str, _Values], config: Config
) -> dict[str, Any]:
    pairs = pairs_of_answers(question, found_QK) if question.asks_in_words else _pairs_of_askers(question, found_QK)
    recall, draws = float(question.recall(found_QK).mean()), Bootstrap.over(question.groups, config.seed)
    measured = {
        name: _slices(pairs, column, recall, draws, config.evaluation.min_slice_queries)
        for name, column in values.items()
    }
    return {f"recall@{K}": round(recall, 5), "queries": len(question.asking), "columns": measured}


def _pairs_of_askers(question: Question, found_QK: np.ndarray) -> _Pairs:
    """Each query counts whole for the Pin that asks."""
    recall_Q = question.recall(found_QK)
    return _Pairs(np.arange(len(recall_Q)), question.asking, np.ones(len(recall_Q)), recall_Q)


def pairs_of_answers(question: Question, found_QK: np.ndarray) -> _Pairs:
    """Each query counts in equal parts for the Pins that are right."""
    query_P, place_P = flat(question.relevant)
    right_Q, room_Q = np.bincount(query_P, minlength=len(found_QK)), question.room
    found_P = among(query_P, place_P, *flat(list(found_QK)))
    return _Pairs(query_P, question.candidates[place_P], 1 / right_Q[query_P], found_P / room_Q[query_P])


def _slices(pairs: _Pairs, column: _Values, recall: float, draws: Bootstrap, least: int) -> dict[str, Any]:
    """The slices of one column, most queries first, and what was merged or left out."""
    place = pairs.query_P, column.number[pairs.pin_P]
    shape = len(draws.group_Q), len(column.names)
    weight, won = (sp.coo_matrix((x_P, place), shape=shape).tocsr() for x_P in (pairs.weight_P, pairs.won_P))
    names, into, merged = _merged(column.names, weight.getnnz(axis=0), least)
    weight_QS, won_QS = (weight @ into).toarray(), (won @ into).toarray()
    queries_S, ratios_DS = (weight_QS > 0).sum(0), draws.ratios(won_QS, weight_QS)
    rows = [
        _row(names[i], weight_QS[:, i], won_QS[:, i], ratios_DS[:, i], draws.group_Q, recall)
        for i in np.argsort(-queries_S, kind="stable")
        if queries_S[i] >= least
    ]
    left_out = sum(int(count) for count in queries_S if count < least)
    return {"slices": rows, "merged": merged, "left_out_queries": left_out}


def _merged(names: np.ndarray, queries: np.ndarray, least: int) -> tuple[list[str], sp.csr_matrix, int]:
    """(names of the slices, matrix that adds up the columns of each, how many were merged into the last one).

    queries: of each name; those of no query are not there, those of few share a slice.
    """
    common, rare = queries >= max(least, 1), (queries > 0) & (queries < least)
    slice_of = np.where(common, np.cumsum(common) - 1, common.sum())
    kept = np.flatnonzero(common | rare)
    count = int(common.sum()) + int(rare.any())
    into = sp.csr_matrix((np.ones(len(kept)), (kept, slice_of[kept])), shape=(len(names), count))
    return [*names[common].tolist(), *([OTHERS] if rare.any() else [])], into, int(rare.sum())


def _row(
    name: str, weight_Q: np.ndarray, won_Q: np.ndarray, ratios_D: np.ndarray, group_Q: np.ndarray, recall: float
) -> dict[str, Any]:
    value = float(won_Q.sum() / weight_Q.sum())
    low, high = ends(ratios_D) or (value, value)
    if won_Q.sum() == 0:  # nothing was found in any draw either: the rule of three says what may have been missed
        high = min(1.0, 3 / len(np.unique(group_Q[weight_Q > 0])))
    gaps = {"gap": 1 - value / recall, "sure_gap": max(0.0, 1 - high / recall)} if recall else {"gap": 0, "sure_gap": 0}
    figures = {f"recall@{K}": value, "low": low, "high": high, **gaps}
    return {"slice": name, "queries": int((weight_Q > 0).sum()), **{k: round(v, 5) for k, v in figures.items()}}


def _largest(scopes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the sure gap is largest; the merged slices are no slice that could be named."""
    rows = [
        {"scope": scope, "task": task, "column": column, "all": measured[f"recall@{K}"], **row}
        for scope, tasks in scopes.items()
        for task, measured in tasks.items()
        for column, table in measured["columns"].items()
        for row in table["slices"]
        if row["sure_gap"] > 0 and row["slice"] != OTHERS
    ]
    return max(rows, key=lambda row: row["sure_gap"], default=None)
