"""The schemas of events in the OpenAPI document, and the events that they accept."""

from typing import Any

import pytest
from jsonschema_rs import validator_for

from runyard_service.api.openapi import document
from runyard_service.api.threads.event_views import event_view
from runyard_service.domain.event_payloads.by_type import EVENT_PAYLOADS
from runyard_service.domain.events import EVENT_TYPES, Event
from tests.support.event_schemas import find_schema_violations
from tests.unit.test_thread_events import CATALOGUE, RUN, THREAD_TYPES

ENVELOPE = {
    "id": "d1a2b3c4-0001-4e5f-8293-a4b5c6d7e8f9",
    "sequence": 1,
    "timestamp": "2026-06-10T09:15:21.000Z",
}


def make_event(type_: str, data: Any) -> dict[str, Any]:
    """Return an event of the Runs API."""
    return {**ENVELOPE, "type": type_, "data": data}


def accepts(event: Any, union: str = "Event") -> bool:
    """Return True if the union accepts the event, as a strict client reads it."""
    components = document()["components"]
    schema = {"$ref": f"#/components/schemas/{union}", "components": components}
    return validator_for(schema).is_valid(event)


def test_every_type_has_its_own_schema() -> None:
    assert tuple(EVENT_PAYLOADS) == EVENT_TYPES
    union = document()["components"]["schemas"]["Event"]
    assert union["discriminator"]["propertyName"] == "type"
    mapping = union["discriminator"]["mapping"]
    assert tuple(mapping) == EVENT_TYPES
    members = [member["$ref"] for member in union["oneOf"]]
    assert members == [*mapping.values(), "#/components/schemas/UnknownEvent"]
    assert len(set(members)) == len(EVENT_TYPES) + 1


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_the_catalogue_fits_its_schemas(type_: str) -> None:
    event = make_event(type_, CATALOGUE[type_][0])
    assert find_schema_violations([event]) == []
    assert accepts(event)


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_the_events_of_the_threads_api_fit_their_schemas(type_: str) -> None:
    event = event_view(Event(**make_event(type_, CATALOGUE[type_][0])), RUN)
    assert find_schema_violations([event], "ThreadsEvent") == []
    assert accepts(event, "ThreadsEvent")
    assert accepts({**event, "type": "run.teleported"}, "ThreadsEvent")


def test_every_type_of_the_threads_api_has_a_schema() -> None:
    union = document()["components"]["schemas"]["ThreadsEvent"]
    assert set(union["discriminator"]["mapping"]) == THREAD_TYPES


def test_a_schema_rejects_data_of_another_type() -> None:
    assert not accepts(make_event("run.completed", {"id": "r", "object": "run"}))
    assert not accepts(make_event("agent.response.delta", CATALOGUE["agent.emitted"][0]))


def test_clients_accept_new_fields_and_new_types() -> None:
    started = make_event("run.started", {**CATALOGUE["run.started"][0], "new": 1})
    assert accepts({**started, "new": 1})
    assert accepts(make_event("run.teleported", {"to": "mars"}))


def test_the_check_of_the_tests_finds_undocumented_fields() -> None:
    started = make_event("run.started", {**CATALOGUE["run.started"][0], "new": 1})
    [violation] = find_schema_violations([started])
    assert "new" in violation
    assert find_schema_violations([make_event("run.teleported", {})]) == [
        "run.teleported has no schema"
    ]
