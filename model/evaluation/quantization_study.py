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

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from model.evaluation.questions import K, Question, Tables, questions, sampled
from model.evaluation.tasks import EvaluationScope

TARGETS = {"int8": 0.995, "int4": 0.98}  # retention on every task, at a quarter and at an eighth of the bytes


@dataclass(frozen=True)
class _Held:
    """A question with its vectors in memory: those of the sampled scope, never of all Pins."""

    question: Question
    asking_QE: np.ndarray
    candidates_NE: np.ndarray

    def cut(self, prefix: int) -> "_Held":
        asking, candidates = (unit_length(x[:, :prefix]) for x in (self.asking_QE, self.candidates_NE))
        return _Held(self.question, asking, candidates)


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
    held = {
        key: question for name, scope in scopes.items() for key, question in _held(name, scope, tables, queries, config)
    }
    sizes: list[dict[str, Any]] = []
    found: list[list[_Measured]] = []  # by code, by question; float32 at full length comes first
    learning_NE = tables["pin"][training]
    with threads() as pool:
        for prefix in sorted(prefixes, reverse=True):
            cut = list(pool.map(_Held.cut, held.values(), repeat(prefix)))
            for name, code in codes(unit_length(learning_NE[:, :prefix]), config.seed).items():
                sizes.append({"prefix": prefix, "code": name, **_bytes(code, prefix)})
                found.append(list(pool.map(partial(_measure, code), cut)))
                report(len(sizes) / (len(prefixes) * len(NAMES)), f"{name}, {prefix} dimensions")
        asked = (one.question for one in held.values())
        figures = dict(zip(held, pool.map(_figures, zip(*found, strict=True), asked, repeat(config)), strict=True))
    entries = [
        {"scope": scope, **size, "tasks": {task: figures[where, task][i] for where, task in held if where == scope}}
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


def _held(
    name: str, scope: EvaluationScope, tables: Tables, queries: list[str], config: Config
) -> Iterator[tuple[tuple[str, str], _Held]]:
    smaller = sampled(scope, config.quantization.study_pins, config.seed)
    for task, question in questions(smaller, queries, config).items():
        asking, candidates = tables[question.asks][question.asking], tables[question.answers][question.candidates]
        yield (name, task), _Held(question, asking, candidates)


def _measure(code: Code, one: _Held) -> _Measured:
    asking = one.asking_QE if one.question.asks == "query" else code.decode(code.encode(one.asking_QE))
    found = code.search(asking, code.encode(one.candidates_NE), K, one.question.excluded)
    return _Measured(one.question.recall(found), found)


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
