"""Test the API contract: it has every route and the examples of the seeds, and is up to date."""

import json
import re
from pathlib import Path

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
