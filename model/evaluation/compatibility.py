"""Do a model's vectors and a former model's answer each other? Its queries ask Pins that the former one has embedded.

    {task: as of model/evaluation/paired.py; `ours`: our queries on former vectors, `former`: its own queries on them}

Related Pins and Search alone: their candidates are Pin vectors, which a space publishes and an index keeps.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from model.config import Config
from model.embedding.retrieval import top_k_of_blocks
from model.evaluation.evaluate import ModelVectors
from model.evaluation.paired import difference
from model.evaluation.questions import K, Question, questions
from model.evaluation.tasks import EvaluationScope

TASKS = ("related_pins", "search")


def compatibility(scope: EvaluationScope, ours: ModelVectors, former: ModelVectors, config: Config) -> dict[str, Any]:
    """recall@10 as above. ours: vectors of the whole catalogue; former: of the Pins in `scope` alone."""
    asked = questions(scope, ours.queries, config)
    again = questions(replace(scope, pins=np.arange(len(scope.pins))), former.queries, config)

    def measured(task: str) -> dict[str, Any]:
        new, old = asked[task], again[task]
        crossed_Q = _recall(old, ours.tables[new.asks][new.asking], former)
        own_Q = _recall(old, former.tables[old.asks][old.asking], former)
        return difference(crossed_Q, own_Q, old.groups, config.seed, "former")

    return {task: measured(task) for task in TASKS if task in asked}


def _recall(one: Question, asking_QE: np.ndarray, former: ModelVectors) -> np.ndarray:
    """(Q,): recall@10 of each query among the former model's vectors."""
    candidates = former.tables[one.answers].blocks(one.candidates)
    return one.recall(top_k_of_blocks(asking_QE, candidates, K, one.excluded)[0])
