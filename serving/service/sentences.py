"""One sentence for a body that pydantic refuses: which field is wrong and why. The value itself is not repeated.

sentence(RerankIn, {"weights": {"vector": 1}}, error)
"weights.vector: no such field; its fields are: visual, text, graph, semantic_id."
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from serving.service.forms import HEAD

SHOULD = "Input should be "
LONGEST = 80  # characters of a field's name that are repeated
Place = tuple[str | int, ...]


def sentence(kind: type[BaseModel], body: bytes | dict[str, Any], error: ValidationError) -> str:
    errors = error.errors(include_input=False, include_url=False, include_context=False)
    if errors[0]["type"] == "json_invalid" and isinstance(body, bytes):
        return _no_json(body, errors[0]["msg"])
    given = from_json(body) if isinstance(body, bytes) else body
    branch = _nearest(given, _same_field(given, errors))
    place, why = _place(given, branch[0]), _why(branch)
    if branch[0]["type"] == "extra_forbidden":
        why = f"no such field; its fields are: {', '.join(_message_at(kind, place[:-1]).model_fields)}"
    return f"{'.'.join(map(_shown, place)) or 'The body'}: {why}."


def _shown(part: str | int) -> str:
    """A name as it is, or quoted where it would not be seen."""
    name = str(part)[:LONGEST]
    return name if name.isprintable() and name else repr(name)


def _no_json(body: bytes, why: str) -> str:
    if not body.strip():
        return "The body is empty; send JSON."
    is_form = body.startswith(b"--") and b"content-disposition" in body[:HEAD].lower()
    return "The body is a form; send JSON." if is_form else f"The body: {why}."


def _same_field(given: Any, errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """The first error, and where its field is a union those of the other branches."""
    first = _place(given, errors[0])
    places = ((one, _place(given, one)) for one in errors)
    return [one for one, _ in takewhile(lambda pair: _holds(first, pair[1]) or _holds(pair[1], first), places)]


def _holds(place: Place, inner: Place) -> bool:
    return inner[: len(place)] == place


def _nearest(given: Any, errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Those of the branches of a union that fit best: the error lies deepest, or is not that of its type."""

    def fit(error: ErrorDetails) -> tuple[int, bool]:
        return len(_place(given, error)), not error["type"].endswith("_type")

    best = max(map(fit, errors))
    return [error for error in errors if fit(error) == best]


def _why(errors: Sequence[ErrorDetails]) -> str:
    messages = list(dict.fromkeys(error["msg"] for error in errors))
    if all(message.startswith(SHOULD) for message in messages):
        return SHOULD + " or ".join(message.removeprefix(SHOULD) for message in messages)
    return messages[0]


def _place(given: Any, error: ErrorDetails) -> Place:
    """The error's place in the body, without the names that pydantic gives to the branches of a union."""
    place: list[str | int] = []
    for part in error["loc"]:
        if _has(given, part):
            place.append(part)
            given = given[part]
    return (*place, error["loc"][-1]) if error["type"] == "missing" else tuple(place)


def _has(given: Any, part: str | int) -> bool:
    return part in given if isinstance(given, dict) else isinstance(given, list) and isinstance(part, int)


def _message_at(kind: Any, place: Place) -> type[BaseModel]:
    """The message that stands at this place of another."""
    for part in place:
        if isinstance(part, str) and part in kind.model_fields:
            kind = _message_in(kind.model_fields[part].annotation) or kind
    return kind


def _message_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _message_in(one))), None)
