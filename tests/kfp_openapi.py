"""KFP's OpenAPI file (v2beta1): the operation of a request, and what does not fit in a request or an answer."""

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from jsonschema import Draft4Validator, FormatChecker

OPENAPI = Path(__file__).parents[2] / "shared" / "schemas" / "kfp_api_v2beta1.swagger.json"

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


def closed(schema: object) -> object:
    """The schema with no room for keys that it does not name; an int64 may come as a number or as its digits."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if schema.get("format") == "int64":
        schema["type"] = ["string", "integer"]
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", not schema["properties"])
    return schema


@cache
def openapi() -> dict:
    if not OPENAPI.is_file():
        pytest.skip(f"{OPENAPI} is absent: KFP's OpenAPI file is lent beside the checkout, not part of it")
    document = json.loads(OPENAPI.read_text())
    return document | {"definitions": closed(document["definitions"])}


def problems(schema: dict, value: object) -> list[str]:
    whole = {"definitions": openapi()["definitions"], "allOf": [closed(schema)]}
    errors = Draft4Validator(whole, format_checker=formats).iter_errors(value)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def operation(method: str, path: str) -> tuple[dict, dict[str, str]]:
    """The file's operation for a request, and the parameters in its path; the longest literal path wins."""
    found = []
    for template, methods in openapi()["paths"].items():
        pattern = re.sub(r"\\\{([\w.]+)\\\}", lambda m: f"(?P<{m[1].replace('.', '_')}>[^/:]+)", re.escape(template))
        match = re.fullmatch(pattern, path)
        if match and method.lower() in methods:
            found.append((template.count("{"), methods[method.lower()], match.groupdict()))
    if not found:
        return {}, {}
    _, chosen, values = min(found, key=lambda one: one[0])
    return chosen, {name: unquote(value) for name, value in values.items()}


def check_request(found: dict, query: dict[str, str], body: dict) -> None:
    """Raises AssertionError with what the OpenAPI file does not allow."""
    assert found, "no such path"
    parameters = found.get("parameters", [])
    allowed = {one["name"]: one for one in parameters if one["in"] == "query"}
    assert set(query) <= set(allowed), f"unknown in the query: {set(query) - set(allowed)}"
    for name, value in query.items():
        assert value in allowed[name].get("enum", [value]), f"{name}={value}"
    for one in parameters:
        if one["in"] == "body":
            misfit = problems(one["schema"], body)
            assert not misfit, misfit
        if one["in"] == "formData" and one.get("required"):
            assert body.get(one["name"]), f"no {one['name']}"
