"""Recall against bytes a Pin: every code (model/embedding/codes.py), every nested prefix of the vectors, four tasks.

    quantization_study.json
      codes     one entry a scope, prefix and code: bytes_per_pin, bytes_scanned, and by task recall@10, retention (its
                share of the recall of float32 at full length) with a 95 % interval, and overlap@10
      targets   what was promised of int8 and 4 bits, task by task, and whether it was met

Retention is a ratio of two recalls on the same queries; where few queries find anything it is mostly noise, which its
interval says. overlap@10 is the share of float32's own ten results that the code finds too: it needs no relevant
answers, so few of them do not make it noise. What is stored of a Pin is coded; a search query is encoded as it comes
and stays float. A scope of more than `quantization.study_pins` Pins is sampled.
Shape legend: Q queries · K results · E dimension
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from model.blas import threads
from model.config import Config
from model.embedding.affine import unit_length
from model.embedding.codes import NAMES, Binary, Code, codes
from model.embedding.retrieval import shared
from model.evaluation.bootstrap import Bootstrap, ends
from model.evaluation.questions import K, Question, Tables, Vectors, questions, sampled
from model.evaluation.tasks import EvaluationScope

TARGETS = {"int8": 0.995, "int4": 0.98}  # retention on every task, at a quarter and at an eighth of the bytes


@dataclass(frozen=True)
class _Held:
    """The questions of a scope that one column answers, vectors in memory: of the sampled scope, never of all Pins."""

    questions: dict[tuple[str, str], Question]  # by scope and task
    asking: list[np.ndarray]  # (Q, E) of each question
    candidates_NE: np.ndarray

    def cut(self, prefix: int) -> "_Held":
        asking, candidates = ([unit_length(x[:, :prefix]) for x in xs] for xs in (self.asking, [self.candidates_NE]))
        return _Held(self.questions, asking, candidates[0])


@dataclass(frozen=True)
class _Measured:
    recall_Q: np.ndarray
    found_QK: np.ndarray


def study(
    tables: Tables,
    scopes: Mapping[str, EvaluationScope],
    queries: list[str],
    training: np.ndarray,
    prefixes: Sequence[int],
    config: Config,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> dict[str, Any]:
    """The contents of quantization_study.json.

    tables: float32 vectors by row; scopes: by name; training: rows of the Pins that the codes may learn from.
    """
    asked = {
        (name, task): question
        for name, scope in scopes.items()
        for task, question in questions(
            sampled(scope, config.quantization.study_pins, config.seed), queries, config
        ).items()
    }
    sizes: list[dict[str, Any]] = []
    found: list[dict[tuple[str, str], _Measured]] = []  # by code; float32 at full length comes first
    learning_NE, falling, held = tables["pin"][training], sorted(prefixes, reverse=True), _held(asked, tables)
    with threads() as pool:
        learned = pool.map(lambda prefix: codes(unit_length(learning_NE[:, :prefix]), config.seed), falling)
        for prefix, by_name in zip(falling, learned, strict=True):
            cut = list(pool.map(_Held.cut, held, repeat(prefix)))
            measured = [pool.map(partial(_measure, code), cut) for code in by_name.values()]
            for (name, code), parts in zip(by_name.items(), measured, strict=True):
                sizes.append({"prefix": prefix, "code": name, **_bytes(code, prefix)})
                found.append({key: one for part in parts for key, one in part.items()})
                report(len(sizes) / (len(prefixes) * len(NAMES)), f"{name}, {prefix} dimensions")
        by_question = ([by_key[key] for by_key in found] for key in asked)
        figures = dict(zip(asked, pool.map(_figures, by_question, asked.values(), repeat(config)), strict=True))
    entries = [
        {"scope": scope, **size, "tasks": {task: figures[where, task][i] for where, task in asked if where == scope}}
        for i, size in enumerate(sizes)
        for scope in scopes
    ]
    return {"codes": entries, "targets": targets(entries, max(prefixes))}


def retention_intervals(studied: Mapping[str, Any], code: str, dim: int) -> dict[str, list[float]]:
    """The 95 % intervals of what a code keeps of recall at full length, by task, over all Pins; none unmeasured."""
    tasks = (
        entry["tasks"]
        for entry in studied["codes"]
        if (entry["scope"], entry["code"], entry["prefix"]) == ("all", code, dim)
    )
    return {task: found["interval"] for task, found in next(tasks, {}).items() if found["interval"]}


def _held(asked: Mapping[tuple[str, str], Question], tables: Tables) -> list[_Held]:
    """Of a scope, all that one column answers has the same candidates."""
    together: dict[tuple[str, Vectors], dict[tuple[str, str], Question]] = {}
    for (scope, task), one in asked.items():
        together.setdefault((scope, one.answers), {})[scope, task] = one

    def held(column: Vectors, some: dict[tuple[str, str], Question]) -> _Held:
        asking = [tables[one.asks][one.asking] for one in some.values()]
        return _Held(some, asking, tables[column][next(iter(some.values())).candidates])

    return [held(column, some) for (_, column), some in together.items()]


def _measure(code: Code, held: _Held) -> dict[tuple[str, str], _Measured]:
    asked = held.questions.values()
    asking = [
        x if one.asks == "query" else code.decode(code.encode(x)) for one, x in zip(asked, held.asking, strict=True)
    ]
    excluded = [gone for one in asked for gone in one.excluded or [np.empty(0, np.int64)] * len(one.asking)]
    found_QK = code.search(np.concatenate(asking), code.encode(held.candidates_NE), K, excluded)
    parts = np.split(found_QK, np.cumsum([len(x) for x in asking])[:-1])
    return {
        key: _Measured(one.recall(part_QK), part_QK)
        for (key, one), part_QK in zip(held.questions.items(), parts, strict=True)
    }


def _figures(measured: Sequence[_Measured], question: Question, config: Config) -> list[dict[str, Any]]:
    """Of every code; the first is what they are compared with, on the same draws of the bootstrap."""
    exact, recall_QS = measured[0], np.stack([one.recall_Q for one in measured], axis=1)
    exact_QS = np.broadcast_to(recall_QS[:, :1], recall_QS.shape)
    draws_DS = Bootstrap.over(question.groups, config.seed).ratios(recall_QS, exact_QS)
    whole, possible = recall_QS[:, 0].mean(), (exact.found_QK >= 0).sum()

    def of(one: _Measured, recall: float, draws_D: np.ndarray) -> dict[str, Any]:
        between, both = ends(draws_D), shared(exact.found_QK, one.found_QK).sum()
        return {
            "queries": len(question.asking),
            f"recall@{K}": round(float(recall), 5),
            "retention": round(float(recall / whole), 5) if whole else None,
            "interval": [round(end, 5) for end in between] if between else None,
            f"overlap@{K}": round(float(both / possible), 5) if possible else None,
        }

    return [of(*one) for one in zip(measured, recall_QS.mean(axis=0), draws_DS.T, strict=True)]


def _bytes(code: Code, prefix: int) -> dict[str, int]:
    """What is stored of a Pin, and what of it a search reads of every Pin; measured on a stored vector."""
    stored = code.encode(np.zeros((1, prefix), dtype=np.float32)).shape[1]
    return {"bytes_per_pin": stored, "bytes_scanned": code.sign_bytes if isinstance(code, Binary) else stored}


def targets(entries: list[dict[str, Any]], dim: int) -> list[dict[str, Any]]:
    """Met: at the floor or above. Open: below, and the interval reaches the floor. Missed: all of it is below."""
    verdicts = []
    for entry in entries:
        floor = TARGETS.get(entry["code"]) if entry["prefix"] == dim else None
        for task, figures in entry["tasks"].items() if floor else ():
            kept, interval = figures["retention"], figures["interval"]
            if kept is not None and interval is not None:
                verdict = "met" if kept >= floor else "open" if interval[1] >= floor else "missed"
                facts = {"scope": entry["scope"], "code": entry["code"], "task": task, "floor": floor}
                verdicts.append({**facts, "retention": kept, "interval": interval, "verdict": verdict})
    return verdicts
