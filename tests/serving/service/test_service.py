"""The service as a client meets it, on a real Ray Serve: what it answers, and what it refuses."""

import base64
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import psutil
import pytest
import requests
from PIL import Image
from served_pins import IDS, Embedder, drawn

from serving.features import Features
from serving.service.config import ServiceConfig

pytestmark = pytest.mark.timeout(900)


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_pin_that_is_pushed_is_read_and_found(service, published):
    pin = {"pin_id": "fresh/1", "image": as_text(drawn(3)), "title": "mustard circle", "annotations": ["a", "b"]}
    answer = service.post("/v1/pins", {"pins": [pin]}).json()
    [accepted] = answer["pins"]
    assert (answer["space"], accepted["stored"]) == (published[0][0].name, True)
    vectors, missing = Features.of(published[0][0].feast_home / "feature_store.yaml").pin_vectors(
        ["fresh/1"], answer["space"]
    )
    assert not missing[0]
    np.testing.assert_allclose(vectors[0], accepted["vector"], atol=1e-6)
    found = service.get("/v1/pins/fresh%2F1/related", params={"k": 5}).json()["results"]
    assert len(found) == 5
    assert "fresh/1" not in [one["pin_id"] for one in found]
    nearest = service.post("/v1/search", {"image": pin["image"], "k": 60}).json()["results"]
    assert "fresh/1" in [one["pin_id"] for one in nearest]


def test_many_pins_at_once_are_those_of_pytorch(service, published):
    pins = [{"pin_id": f"many-{i}", "image": as_text(drawn(i)), "title": f"teal {i}"} for i in range(16)]
    answer = service.post("/v1/pins?space=" + published[0][-1].name, {"pins": pins}).json()
    assert answer["space"] == published[0][-1].name
    assert [one["pin_id"] for one in answer["pins"]] == [pin["pin_id"] for pin in pins]
    texts = [{"title": pin["title"]} for pin in pins]
    expected = Embedder(published[0][-1].model_folder).pins([drawn(i) for i in range(16)], texts)
    cosines = (np.array([one["vector"] for one in answer["pins"]]) * expected).sum(axis=1)
    assert cosines.min() > 0.999
    there = service.get("/v1/pins/many-3/related").status_code, service.get(f"/v1/pins/many-3/related?space={IDS[0]}")
    assert there[0] == 404  # spaces do not mix: it was given to the other one alone
    assert there[1].status_code == 404


def test_a_form_is_taken_as_well(service):
    fields = {"pin_id": "from-a-form", "title": "größe", "annotations": "x"}
    answer = requests.post(f"{service.address}/v1/pins", data=fields, files={"image": drawn(1)}, timeout=60)
    assert answer.json()["pins"][0]["stored"]
    same = {"pin_id": "again", "title": "größe", "annotations": "x", "image": as_text(drawn(1))}
    vector = service.post("/v1/pins", {"pins": [same]}).json()["pins"][0]["vector"]
    np.testing.assert_allclose(vector, answer.json()["pins"][0]["vector"], atol=1e-6)


def test_texts_and_pictures_are_read_as_a_catalogues_are(service):
    """The same Pin as the prepare step leaves it and as a shop has it."""
    clean = {"title": "teal circle", "annotations": ["a", "b"], "image": as_text(drawn(2))}
    raw = {
        "title": "\ufeff teal\u202e\ncircle\0",
        "caption": "null",
        "annotations": ["a", None, "nan", "b ", "a"],
        "image": f"data:image/png;base64,{as_text(drawn(2))}",
    }
    pins = [{"pin_id": name, **fields} for name, fields in (("clean", clean), ("raw", raw))]
    vectors = [service.post("/v1/pins", {"pins": [pin]}).json()["pins"][0]["vector"] for pin in pins]
    assert vectors[0] == vectors[1]
    found = [
        service.post("/v1/search", {"text": text}).json()["results"] for text in ("teal circle", " teal\ncircle\0")
    ]
    assert found[0] == found[1]
    assert service.post("/v1/search", {"text": "nan"}).status_code == 422


def test_whatever_id_is_taken_every_route_finds(service):
    ids = [
        "größe/1",
        "e\u0301",
        "é",
        "a%2Fb",
        "a b",
        "a+b",
        "a?b#c",
        "/a//b/",
        "x/related",
        "x/image",
        "...",
        "y" * 512,
    ]
    pins = [{"pin_id": pin_id, "title": "coral circle"} for pin_id in ids]
    answer = service.post("/v1/pins", {"pins": pins})
    assert [one["pin_id"] for one in answer.json()["pins"]] == ids
    asked = service.post("/v1/rerank", {"candidates": [{"pin_id": pin_id, "utility": 1.0} for pin_id in ids]})
    assert asked.json()["missing"] == []
    for pin_id in ids:
        for written in {quote(pin_id, safe=""), quote(pin_id)}:
            found = service.get(f"/v1/pins/{written}/related?k=40").json()["results"]
            assert {one["pin_id"] for one in found} >= {*ids} - {pin_id}
            assert repr(pin_id) in service.get(f"/v1/pins/{written}/image").json()["error"]


@pytest.mark.parametrize("pin_id", ["y" * 513, "a/../b", ".", " a", "a\u00a0", "a\nb"])
def test_an_id_that_no_route_could_name_is_refused(service, pin_id):
    answer = service.post("/v1/pins", {"pins": [{"pin_id": pin_id, "title": "coral"}]})
    assert answer.status_code == 422
    assert "pins.0.pin_id" in answer.json()["error"]


def test_an_older_push_is_answered_and_not_stored(service):
    def pushed(time: str, title: str) -> bool:
        pin = {"pin_id": "twice", "title": title, "time": time}
        return service.post("/v1/pins", {"pins": [pin]}).json()["pins"][0]["stored"]

    assert pushed("2026-11-21T12:00:01Z", "teal circle")
    assert not pushed("2026-11-21T12:00:00Z", "coral square")
    assert pushed("2026-11-21T13:00:02+01:00", "coral square")


def test_search_weighs_words_and_picture(service):
    words, picture = {"text": "coral circle", "k": 60}, {"image": as_text(drawn(8)), "k": 60}

    def scores(asked: dict) -> dict[str, float]:
        return {one["pin_id"]: one["score"] for one in service.post("/v1/search", asked).json()["results"]}

    assert scores({**words, **picture, "image_weight": 0}) == pytest.approx(scores(words), abs=1e-5)
    assert scores({**words, **picture, "image_weight": 1}) == pytest.approx(scores(picture), abs=1e-5)
    mixed = scores({**words, **picture, "image_weight": 0.5})
    assert list(mixed.values()) == sorted(mixed.values(), reverse=True)
    assert mixed.keys() != scores(words).keys() or list(mixed) != list(scores(words))


def test_a_filter_finds_what_fits_all_of_it_and_loses_none(service):
    """Pins that were pushed have no columns, so the drawn ones alone are found."""
    every = service.post("/v1/search", {"text": "circle", "k": 200}).json()["results"]
    drawn_ones = [one["pin_id"] for one in every if one["pin_id"] in IDS]

    def found(**wanted) -> list[str]:
        answer = service.post("/v1/search", {"text": "circle", "k": 200, "filter": wanted}).json()
        return [one["pin_id"] for one in answer["results"]]

    def expected(fits) -> list[str]:
        return [pin_id for pin_id in drawn_ones if fits(IDS.index(pin_id))]

    assert found(colour="teal") == expected(lambda i: i % 5 == 1)
    assert found(colour=["teal", "moss"], price={"max": 20}) == expected(lambda i: i % 5 in (1, 4) and i <= 20)
    assert found(price={"min": 7, "max": 7}) == found(price=7) == ["pin-7"]
    assert found(colour="no such colour") == []
    assert found() == [one["pin_id"] for one in every]
    near = service.get("/v1/pins/pin-1/related", params={"k": 60, "filter": '{"colour": "teal"}'}).json()
    assert {one["pin_id"] for one in near["results"]} == {f"pin-{i}" for i in range(1, 60, 5)} - {"pin-1"}
    assert near["pin"] == {"pin_id": "pin-1", "title": "teal square 1", "has_image": True}


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"brand": "acme"}, "filter: 'brand' is no column that a filter can name; there are: price, colour."),
        ({"price": "cheap"}, "filter: 'price' is a column of numbers; give it a number."),
        ({"colour": 3}, "filter: 'colour' is a column of texts; give it as a text."),
        ({"colour": {"min": "a"}}, "filter: 'colour' is a column of texts, which has no min and max"),
        ({"pin_id": "pin-1"}, "filter: 'pin_id' is no column"),
        ({"price": []}, "filter.price"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_one_sentence(service, wanted, says):
    for answer in (
        service.post("/v1/search", {"text": "circle", "filter": wanted}),
        service.get("/v1/pins/pin-1/related", params={"filter": json.dumps(wanted)}),
        service.post("/v1/complete", {"pins": ["pin-1"], "filter": wanted}),
    ):
        assert (answer.status_code, says in answer.json()["error"]) == (422, True), answer.json()


def test_a_basket_is_completed_by_what_is_near_all_of_it(service):
    basket = ["pin-0", "pin-3", "nobody", "pin-0"]
    answer = service.post("/v1/complete", {"pins": basket, "k": 60}).json()
    near = {pin: service.get(f"/v1/pins/{pin}/related?k=200").json()["results"] for pin in ("pin-0", "pin-3")}
    cosines = {pin: {one["pin_id"]: one["score"] for one in found} for pin, found in near.items()}
    both = {i: cosines["pin-0"][i] + cosines["pin-3"][i] for i in cosines["pin-0"].keys() & cosines["pin-3"].keys()}
    sums = [both[one["pin_id"]] for one in answer["results"]]  # Pins of equal vectors may come in any order
    assert sums == pytest.approx(sorted(both.values(), reverse=True)[:60], abs=1e-5)
    assert answer["missing"] == ["nobody"]
    refused = service.post("/v1/complete", {"pins": ["nobody"]})
    assert (refused.status_code, "none of the Pins of the basket" in refused.json()["error"]) == (404, True)
    assert service.post("/v1/complete", {"pins": []}).status_code == 422


def test_a_visitor_begins_with_pins_queries_and_columns(service):
    start = service.get("/v1/start?count=12").json()
    assert [one["pin_id"] for one in start["pins"]] == IDS[::5]
    assert all(one["has_image"] and one["title"] for one in start["pins"])
    assert start["queries"] == ["circle", "square", "triangle"]
    assert service.get("/v1/start?count=100").json()["pins"][-1]["pin_id"] == IDS[-1]
    price, colour = service.get("/v1/columns").json()["columns"]
    assert (price["name"], price["kind"], price["low"], price["high"]) == ("price", "number", 0, 59)
    assert (colour["kind"], sorted(colour["values"])) == (
        "text",
        sorted({"coral", "teal", "indigo", "mustard", "moss"}),
    )


def bomb() -> bytes:
    file = io.BytesIO()
    Image.new("1", (9000, 9000)).save(file, "PNG")
    return file.getvalue()


PIN = {"pin_id": "p", "title": "teal"}
REFUSED = [
    ({"pins": [PIN | {"image": as_text(b"no picture")}]}, 422, "'p' cannot be used: unknown format"),
    ({"pins": [PIN | {"image": as_text(drawn(0)[:200])}]}, 422, "truncated"),
    ({"pins": [PIN | {"image": "*not base64*"}]}, 422, "not base64"),
    ({"pins": [PIN | {"image": as_text(bomb())}]}, 413, "too many pixels"),
    ({"pins": [PIN | {"image": as_text(bytes(300_000))}]}, 413, "too many bytes"),
    ({"pins": [{"pin_id": "p"}]}, 422, "neither image nor text"),
    ({"pins": [{"pin_id": "p", "title": "  "}]}, 422, "neither image nor text"),
    ({"pins": [{"pin_id": ""}]}, 422, "pins.0.pin_id"),
    ({"pins": [PIN | {"colour": "red"}]}, 422, "pins.0.colour"),
    ({"pins": [PIN | {"time": "2026-11-21T12:00:00"}]}, 422, "no zone"),
    ({"pins": [PIN | {"time": "2099-01-01T00:00:00Z"}]}, 422, "in the future"),
    ({"pins": [PIN | {"title": "x" * 501}]}, 413, "longer than 500 characters"),
    ({"pins": [PIN] * 17}, 413, "at most 16"),
    ({"pins": []}, 422, "pins"),
    ([1, 2], 422, "The body"),
]


@pytest.mark.parametrize(("message", "status", "says"), REFUSED)
def test_bad_pins_are_one_sentence(service, message, status, says):
    answer = service.post("/v1/pins", message)
    assert (answer.status_code, answer.json().keys()) == (status, {"error"})
    assert says in answer.json()["error"]
    assert service.get("/v1/pins/p/related").status_code == 404


def test_one_bad_pin_stores_none_of_its_request(service):
    bad = {"pin_id": "bad", "image": as_text(b"no picture")}
    assert service.post("/v1/pins", {"pins": [{"pin_id": "good", "title": "teal"}, bad]}).status_code == 422
    assert service.get("/v1/pins/good/related").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/rerank", '{"candidates": [{"pin_id": "p", "utility": NaN}]}', 422, "finite"),
        ("/v1/rerank", '{"candidates": [{"pin_id": "p", "utility": 1}], "slots": 2}', 422, "2 slots cannot be filled"),
        ("/v1/rerank", '{"candidates": []}', 422, "candidates"),
        ("/v1/search", "{}", 422, "text, an image, or both"),
        ("/v1/search", '{"text": "x", "image_weight": NaN}', 422, "finite"),
        ("/v1/search", '{"text": "x", "k": 201}', 422, "1 to 200"),
        ("/v1/search", "no json", 422, "Invalid JSON"),
        ("/v1/search?space=v99", '{"text": "x"}', 404, "'v99' is not served here; there are: v"),
        ("/v1/search", '{"text": "' + "x" * 1_100_000 + '"}', 413, "longer than 1,000,000 bytes"),
    ],
)
def test_bad_questions_are_one_sentence(service, path, body, status, says):
    headers = {"Content-Type": "application/json"}
    answer = requests.post(service.address + path, data=body, headers=headers, timeout=60)
    assert answer.status_code == status
    assert says in answer.json()["error"]


def test_a_body_without_a_length_is_counted(service):
    chunks = (b"x" * 100_000 for _ in range(20))
    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{service.address}/v1/search", data=chunks, headers=headers, timeout=60).status_code == 413


@pytest.mark.parametrize("path", ["/v1/pins/nobody/related", "/v1/pins/nobody/image", "/nowhere"])
def test_what_is_not_there_is_404(service, path):
    assert service.get(path).status_code == 404
    assert service.get(path).json()["error"]


def test_health_metrics_and_openapi(service):
    assert service.get("/health/live").json() == {"live": True}
    assert service.get("/health/ready").json() == {"ready": True}
    service.post("/v1/search", {"text": "teal"})
    text = service.get("/metrics").text
    assert 'pinclip_requests_total{method="POST",route="/v1/search",status="200"}' in text
    assert "pinclip_batch_pins_bucket" in text
    document = service.get("/openapi.json").json()
    pins = document["paths"]["/v1/pins"]["post"]
    assert pins["requestBody"]["content"].keys() == {"application/json", "multipart/form-data"}
    assert "$ref" not in json.dumps(pins["requestBody"])
    assert {"429", "413", "401"} <= pins["responses"].keys()


def test_everything_that_listens_does_so_on_this_machine_alone(service):
    """The service, and all that Ray starts for it."""
    first = psutil.Process(service.process.pid)
    listening = [
        (process.name(), line.laddr.ip, line.laddr.port)
        for process in (first, *first.children(recursive=True))
        for line in process.net_connections(kind="inet")
        if line.status == psutil.CONN_LISTEN
    ]
    assert {name.partition(":")[0] for name, _, _ in listening} >= {"gcs_server", "raylet", "ray"}
    assert service.address.rpartition(":")[2] in {str(port) for _, _, port in listening}
    assert [one for one in listening if one[1].removeprefix("::ffff:") not in ("127.0.0.1", "::1")] == []


def test_ray_answers_nobody_without_its_token(service):
    """A process of this machine that knows the ports, with no token and with a wrong one."""
    code = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1]).internal_kv_keys(b'', None)"
    processes = psutil.Process(service.process.pid).children(recursive=True)
    (gcs,) = [process for process in processes if process.name() == "gcs_server"]
    ports = {line.laddr.port for line in gcs.net_connections(kind="inet") if line.status == psutil.CONN_LISTEN}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    said = []
    for stranger in (bare, bare | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
        for port in ports:
            command = [sys.executable, "-c", code, f"127.0.0.1:{port}"]
            done = subprocess.run(command, env=stranger, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode != 0
            said.append("AuthenticationError" in done.stderr)
    assert said.count(True) == 2  # any other port of it speaks no gRPC


def test_images_come_from_the_catalogue(service):
    answer = service.get(f"/v1/pins/{IDS[40]}/image")
    assert (answer.content, answer.headers["content-type"]) == (drawn(40), "image/png")


def test_callers_behind_a_trusted_proxy_are_counted_one_by_one(service):
    """uvicorn trusts 127.0.0.1, or those that FORWARDED_ALLOW_IPS names."""
    address = service.address.removeprefix("http://")
    host, _, port = address.partition(":")
    head = f"POST /v1/search HTTP/1.1\r\nHost: {address}\r\nX-Forwarded-For: 1.2.3.4\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n"  # and no body follows

    def asked(caller: str) -> tuple[int, str]:
        headers = {"X-Forwarded-For": caller}
        answer = requests.post(f"{service.address}/v1/search", json={"text": "teal"}, headers=headers, timeout=60)
        is_ours = answer.headers["content-type"].startswith("application/json")
        return answer.status_code, answer.json().get("error", "") if is_ours else answer.text

    full = (429, "48 requests of yours are at work; ask again in a second.")
    with contextlib.ExitStack() as lines:
        tries = []
        while full not in tries[-1:]:  # a busy service reads them late, and gives each body five seconds
            assert len(tries) < 100, tries
            if len(tries) % 5 == 0:
                for _ in range(ServiceConfig.per_caller):
                    line = lines.enter_context(socket.create_connection((host, int(port))))
                    line.sendall(head.encode())
            tries.append(asked("1.2.3.4"))
        assert asked("1.2.3.5")[0] == asked("1.2.3.4, 1.2.3.5")[0] == 200


def test_too_many_at_once_are_told_so_and_nobody_else_suffers(service):
    def ask(number: int) -> int:
        pins = [{"pin_id": f"rush-{number}-{i}", "image": as_text(drawn(i))} for i in range(16)]
        answer = requests.post(f"{service.address}/v1/pins", json={"pins": pins}, timeout=60)
        assert answer.status_code == 200 or answer.headers["retry-after"] == "1"
        return answer.status_code

    with ThreadPoolExecutor(48) as threads:
        statuses = list(threads.map(ask, range(96)))
    assert set(statuses) == {200, 429}
    for number, status in enumerate(statuses):
        there = service.get(f"/v1/pins/rush-{number}-15/related?k=1").status_code
        assert there == (200 if status == 200 else 404)
