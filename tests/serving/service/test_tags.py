"""Words of the catalogue for what belongs to no Pin, asked of the service itself."""

import base64

import numpy as np
import pytest
from served_pins import COLOURS, IDS, SHAPES, TITLES, drawn

from model.tags.calibration import FLOOR
from model.tags.evidence import EDGE, NEIGHBOURS, SHARP

pytestmark = pytest.mark.timeout(900)


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def expected(found: list[dict]) -> dict[str, float]:
    """The scores of all words of these Pins, by the share that each has among the very nearest."""
    known = [(IDS.index(one["pin_id"]), one["score"]) for one in found if one["pin_id"] in IDS]
    weights = np.exp(np.array([score for _, score in known]) / SHARP)
    scores = {}
    for words in (list(COLOURS), list(SHAPES)):
        for place, word in enumerate(words):
            share = weights[[number % len(words) == place for number, _ in known]].sum() / weights.sum()
            scores[word] = (share + EDGE) / (1 + 2 * EDGE)
    return scores


def test_a_pins_picture_and_title_get_the_words_of_the_pins_nearest_to_it(service):
    """The Pin itself is the nearest, whatever other tests have pushed; for some no word has a large enough share."""
    tagged = []
    for number in range(16):
        given = {"image": as_text(drawn(number)), "title": TITLES[number]}
        answer = service.post("/v1/tags", given).json()
        others = service.get(f"/v1/pins/{IDS[number]}/related?k={NEIGHBOURS - 1}").json()["results"]
        all_of = expected([{"pin_id": IDS[number], "score": 1.0}, *others])
        if any(abs(score - FLOOR) < 0.02 for score in all_of.values()):
            continue  # a last bit decides
        wanted = {word: score for word, score in all_of.items() if score >= FLOOR}
        assert {one["tag"]: pytest.approx(one["score"], abs=0.02) for one in answer["tags"]} == wanted
        assert (answer["why"] is None) == bool(wanted)
        scores = [one["score"] for one in answer["tags"]]
        assert scores == sorted(scores, reverse=True)
        tagged += [(given, answer["tags"])] if wanted else []
    given, tags = tagged[0]
    for one in tags:
        assert (one["kind"], one["column"]) == (("slice", "colour") if one["tag"] in COLOURS else ("query", None))
    assert len(service.post("/v1/tags", given | {"k": 1}).json()["tags"]) == 1


def test_texts_alone_and_both_are_taken(service, published):
    older, newer = (one.name for one in published[0])
    for given in ({"title": "moss square"}, {"caption": "moss", "image": as_text(drawn(4))}):
        for space in (older, newer):
            answer = service.post(f"/v1/tags?space={space}", given).json()
            assert answer["space"] == space
            assert bool(answer["tags"]) == (answer["why"] is None)


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({}, 422, "Give a picture, texts, or both."),
        ({"title": " null "}, 422, "Give a picture, texts, or both."),
        ({"image": "bm90IGE="}, 422, "The image of the request cannot be used"),
        ({"image": "?"}, 422, "The image of the request is not base64."),
        ({"title": "x" * 501}, 413, "The title is longer than 500 characters"),
        ({"title": "x", "k": 51}, 422, "k: "),
        ({"title": "x", "annotations": ["y"]}, 422, "annotations: "),
    ],
)
def test_what_cannot_be_tagged_is_one_sentence(service, asked, status, says):
    answer = service.post("/v1/tags", asked)
    assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.json()
