"""Test the API contract: it has every route and the examples of the seeds, and is up to date."""

import json
import re
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute, iter_route_contexts
from openapi_spec_validator import validate

from runyard_service.api.openapi import document
from runyard_service.container import container

METHODS = {"get", "post", "put", "patch", "delete"}


def test_the_document_is_valid_openapi() -> None:
    validate(document())


def test_the_file_in_the_repository_is_the_document() -> None:
    stored = json.loads(Path("openapi.json").read_text(encoding="utf-8"))
    assert stored == document(), "run `make openapi`"


def test_the_document_describes_exactly_the_routes() -> None:
    described = {
        (method.upper(), path)
        for path, operations in document()["paths"].items()
        for method in METHODS & set(operations)
    }
    routes = {
        (method, re.sub(r":\w+}", "}", route.path or ""))
        for route in iter_route_contexts(container().create_app().routes)
        if isinstance(route.original_route, APIRoute)
        for method in route.methods or ()
    }
    assert described == routes


def test_the_document_has_the_examples() -> None:
    create = document()["paths"]["/v1/runs"]["post"]
    example = create["responses"]["200"]["content"]["application/json"]["example"]["data"]
    assert list(example) == [
        "id",
        "app_id",
        "status",
        "started_at",
        "ended_at",
        "input",
        "output",
        "user_id",
        "session_id",
    ]
    assert example["output"]["category"] == "billing"
    error = document()["components"]["responses"]["BadRequest"]["content"]["application/json"]
    assert error["example"]["error"]["details"] == {"input": "cannot be blank"}


def test_every_operation_documents_its_errors() -> None:
    for path, operations in document()["paths"].items():
        for method in METHODS & set(operations):
            if operations[method].get("security") != []:
                assert {"401", "403", "500", "503"} <= set(operations[method]["responses"]), path


def test_every_post_accepts_an_idempotency_key() -> None:
    """A ticket is not stored, so a retry may get another one."""
    without = [
        path
        for path, operations in document()["paths"].items()
        if "post" in operations
        and {"$ref": "#/components/parameters/IdempotencyKey"}
        not in operations["post"].get("parameters", [])
    ]
    assert without == ["/v1/runs/{run_id}/ticket", "/threads/v1/runs/{run_id}/ticket"]


def test_response_schemas_are_open_and_request_schemas_closed() -> None:
    requests, responses = _schemas_by_use()
    closed = [path for path, schema in responses if schema.get("additionalProperties") is False]
    assert closed == [], "a client must accept fields that it does not know"
    free = {"Input", "feedback", "params"}
    for path, schema in requests:
        if path.rpartition("/")[2] not in free and "properties" in schema:
            assert schema["additionalProperties"] is False, path


def _schemas_by_use() -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Return the schemas that requests use and those that responses use, with their paths."""
    whole = document()
    requests: list[tuple[str, Any]] = []
    responses: list[tuple[str, Any]] = []
    for path, operations in whole["paths"].items():
        for method in METHODS & set(operations):
            operation = operations[method]
            name = f"{method} {path}"
            requests += _schemas(whole, operation.get("requestBody", {}), name, set())
            responses += _schemas(whole, operation["responses"], name, set())
    return requests, responses


def _schemas(whole: Any, part: Any, path: str, seen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield each object under `part` that describes an object, through references."""
    if isinstance(part, list):
        for item in part:
            yield from _schemas(whole, item, path, seen)
        return
    if not isinstance(part, dict):
        return
    if (reference := part.get("$ref")) is not None:
        if reference not in seen:
            target = reduce(getitem, reference.removeprefix("#/").split("/"), whole)
            yield from _schemas(whole, target, f"{path}{reference}", {*seen, reference})
        return
    if part.get("type") == "object":
        yield path, part
    for name, inner in part.items():
        if name not in ("example", "examples", "not"):
            yield from _schemas(whole, inner, f"{path}/{name}", seen)
