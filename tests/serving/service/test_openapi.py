"""Whatever the OpenAPI file allows is answered as it says, and what it does not allow is refused: schemathesis draws
the requests."""

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

pytestmark = pytest.mark.timeout(900)
ROUTES = [
    ("POST", "/v1/pins"),
    ("GET", "/v1/pins/{pin_id}/related"),
    ("GET", "/v1/pins/{pin_id}/image"),
    ("POST", "/v1/search"),
    ("POST", "/v1/complete"),
    ("POST", "/v1/tags"),
    ("POST", "/v1/rerank"),
    ("GET", "/v1/spaces"),
    ("GET", "/v1/columns"),
    ("GET", "/v1/start"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
]
# What a schema cannot say: rules between fields, limits of the service's settings, what is a picture or a moment.
BEYOND = (
    "has neither image nor text",
    "is not base64",
    "cannot be used",
    "is before 1970",
    "is in the future",
    "has no zone",
    "The id has a part . or ..",
    "The id begins or ends with a space",
    "Search for a text, an image, or both",
    "slots cannot be filled",
    "One of visual, text and graph must be above 0",
    "ask for 1 to 200 results",
    "are too many for one request",
    "none of the Pins of the basket",
    "Give a picture, texts, or both",
    "filter",
)
DRAWN = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def described(service):
    return schemathesis.openapi.from_url(f"{service.address}/openapi.json")


def test_all_routes_are_described(described):
    assert [(found.ok().method.upper(), found.ok().path) for found in described.get_all_operations()] == ROUTES


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_the_file_allows_is_answered_as_it_says(described, method, path):
    @DRAWN
    @given(case=described[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def answered(case):
        answer = case.call_and_validate(excluded_checks=[positive_data_acceptance])
        assert answer.status_code in (200, 404, 413, 422)
        if answer.status_code in (413, 422):
            assert any(said in answer.json()["error"] for said in BEYOND), (answer.json(), case.body)

    answered()


@pytest.mark.parametrize(("method", "path"), [ROUTES[place] for place in (0, 1, 3, 4, 5, 6)])
def test_what_the_file_does_not_allow_is_refused(described, method, path):
    @DRAWN
    @given(case=described[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def refused(case):
        is_form = case.media_type == "multipart/form-data"  # there a number is a text like any other
        case.call_and_validate(excluded_checks=[negative_data_rejection] if is_form else [])

    refused()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_another_method_is_told_which_is_allowed(service, method, path):
    for other in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} - {method}:
        answer = requests.request(
            other, service.address + path.format(pin_id="p"), headers={"Content-Type": "application/json"}, timeout=60
        )
        assert (answer.status_code, answer.headers["allow"]) == (405, method)
        assert answer.json().keys() == {"error"}
