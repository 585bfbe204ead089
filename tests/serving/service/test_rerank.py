"""Reranking by the service: what it knows of candidates, against the library on the same."""

import base64

import numpy as np
import pytest
from served_pins import IDS, drawn

from model.data.catalogue import Catalogue
from model.diversification import ssd
from model.diversification.candidates import Candidates
from model.diversification.catalogue_signals import CatalogueSignal
from model.diversification.config import DiversificationConfig
from model.features.semantic_ids import read_semantic_ids
from serving.features import Features
from serving.space import semantic_ids_file

pytestmark = pytest.mark.timeout(900)
ALL = {"visual": 1.0, "text": 1.0, "graph": 1.0, "semantic_id": 0.0}


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def reranked(service, ids: list[str], **asked) -> list[str]:
    candidates = [{"pin_id": i, "utility": float(-place) / 10} for place, i in enumerate(ids)]
    answer = service.post("/v1/rerank", {"candidates": candidates, "beta": 3.0, **asked})
    assert answer.status_code == 200, answer.json()
    return [one["pin_id"] for one in answer.json()["results"]]


@pytest.fixture(scope="module")
def known(published):
    """What the library is given: vectors, words, boards and semantic IDs of all drawn Pins."""
    files, catalogue = published[0][0], Catalogue(published[1])
    vectors, _ = Features.of(files.feast_home / "feature_store.yaml").pin_vectors(IDS, files.name)
    text, graph = CatalogueSignal.words(catalogue), CatalogueSignal.boards(catalogue)
    codes = read_semantic_ids(semantic_ids_file(files.feast_home, files.name)).encode(vectors)
    utility = -np.arange(len(IDS)) / 10
    return Candidates(utility, vectors, text.vectors(IDS, 2), graph.vectors(IDS, 2), ids=codes)


@pytest.mark.parametrize(
    "weights",
    [
        None,
        {"text": 0.0, "graph": 0.0},
        {"visual": 0.0, "graph": 0.0},
        {"visual": 0.0, "text": 0.0},
        {"graph": 5.0, "semantic_id": 0.5},
    ],
)
def test_signals_and_weights_are_those_of_the_library(service, known, weights):
    shares = ALL | (weights or {})
    config = DiversificationConfig(3.0, prefix_cost=shares.pop("semantic_id"), **shares)
    order = ssd.rerank(known, len(IDS), config)
    asked = {"weights": weights} if weights else {}
    assert reranked(service, IDS, **asked) == [IDS[i] for i in order]


def test_what_a_candidate_lacks_does_not_count(service):
    """Of a pushed Pin the vector is known alone, of one that nobody has nothing; and its ID is nobody's."""
    service.post("/v1/pins", {"pins": [{"pin_id": "pushed-now", "title": "coral circle"}]})
    ids = ["pin-0", "nobody", "pin-15", "no-one", "pushed-now"]
    assert sorted(reranked(service, ids, weights={"semantic_id": 9.0})) == sorted(ids)


def test_boards_that_are_personal_join_nobody(published):
    """A board of fewer Pins than prepare keeps."""
    boards = CatalogueSignal.boards(Catalogue(published[1]))
    assert boards.vectors(["pin-0"], least=10).any()
    assert not boards.vectors(["pin-0"], least=11).any()


def test_without_likeness_there_is_nothing_to_rerank_by(service):
    asked = {"candidates": [{"pin_id": "pin-0", "utility": 1.0}], "weights": {"visual": 0, "text": 0, "graph": 0}}
    answer = service.post("/v1/rerank", asked)
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "weights: One of visual, text and graph must be above 0.",
    )


def test_rerank_spreads_what_is_alike(service):
    twins = [{"pin_id": name, "image": as_text(drawn(0)), "title": "coral circle"} for name in ("twin-a", "twin-b")]
    service.post("/v1/pins", {"pins": twins})
    candidates = [("twin-a", 3.0), ("twin-b", 2.9), (IDS[20], 2.5), ("nobody", 2.4)]
    asked = {"candidates": [{"pin_id": i, "utility": u} for i, u in candidates], "beta": 50.0}
    answer = service.post("/v1/rerank", asked).json()
    order = [one["pin_id"] for one in answer["results"]]
    assert order[0] == "twin-a"
    assert order[-1] == "twin-b"
    assert answer["missing"] == ["nobody"]
    assert len(service.post("/v1/rerank", asked | {"slots": 2}).json()["results"]) == 2


def test_rerank_keeps_pins_of_a_set_apart(service):
    ids = ["pin-1", "pin-6", "pin-11", "pin-2", "pin-3", "pin-4"]  # the first three are teal
    asked = {"candidates": [{"pin_id": i, "utility": float(-place)} for place, i in enumerate(ids)], "beta": 0.0}
    assert [one["pin_id"] for one in service.post("/v1/rerank", asked).json()["results"]] == ids
    asked["spaced"] = [{"filter": {"colour": "teal"}, "cost": 100.0}, {"filter": {"price": {"min": 50}}}]
    order = [one["pin_id"] for one in service.post("/v1/rerank", asked).json()["results"]]
    assert order[:4] == ["pin-1", "pin-2", "pin-3", "pin-4"]  # then there is nothing else
    wrong = service.post("/v1/rerank", asked | {"spaced": [{"filter": {"brand": "acme"}}]})
    assert (wrong.status_code, "no column that a filter can name" in wrong.json()["error"]) == (422, True)
