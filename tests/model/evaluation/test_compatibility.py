"""New queries on former vectors: a space answers its own queries as before, and those of a turned one by chance."""

import numpy as np
import pytest

from model.embedding.columns import VectorColumn
from model.evaluation.compatibility import compatibility
from model.evaluation.evaluate import ModelVectors, pinclip_vectors, retrieval_metrics
from model.evaluation.tasks import evaluation_scope


@pytest.fixture(scope="module")
def fresh(walked):
    return evaluation_scope(*walked, only_fresh=True)


def changed(vectors: ModelVectors, change) -> ModelVectors:
    pin, image, text, query = (
        column.map(change) for column in (vectors.pins[0], vectors.image, vectors.text, vectors.query)
    )
    return ModelVectors([pin], image, text, vectors.queries, query)


def of_fresh_pins(vectors: ModelVectors, rows: np.ndarray) -> ModelVectors:
    pin, image, text = (VectorColumn.of(column[rows]) for column in (vectors.pins[0], vectors.image, vectors.text))
    return ModelVectors([pin], image, text, vectors.queries, vectors.query)


def test_a_space_beside_itself_loses_nothing(fresh, embedded, config):
    ours = pinclip_vectors(embedded)
    found = compatibility(fresh, ours, of_fresh_pins(ours, fresh.pins), config)
    assert found.keys() == {"related_pins", "search"}
    measured = retrieval_metrics(ours, fresh, config)
    for task, one in found.items():
        assert one["ours"] == one["former"] == pytest.approx(measured[task]["recall@10"], abs=2e-5)


def test_a_turned_space_finds_by_chance_in_the_former_one_though_it_is_as_good_itself(walked, fresh, config):
    knowing = evaluation_scope(*walked, only_fresh=False).boards.toarray().astype(np.float32)
    column, none = VectorColumn.of(knowing), VectorColumn.of(np.zeros((0, knowing.shape[1]), np.float32))
    ours = ModelVectors([column], column, column, [], none)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=[knowing.shape[1]] * 2))[0].astype(np.float32)
    turned = changed(ours, lambda x: x @ turn)
    found = compatibility(fresh, turned, of_fresh_pins(ours, fresh.pins), config)["related_pins"]
    assert found["former"] == 1
    assert found["high"] < -0.5
    own = compatibility(fresh, turned, of_fresh_pins(turned, fresh.pins), config)["related_pins"]
    assert own["ours"] == pytest.approx(1, abs=0.02)
