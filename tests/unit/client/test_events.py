"""The event classes of the client, against the payload types of the service."""

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from runyard import events
from runyard.client.event_base import Event
from runyard.client.models import ErrorInfo, Usage
from runyard.verify import TERMINAL_TYPES
from runyard_service.domain.event_payloads.by_type import EVENT_PAYLOADS
from runyard_service.domain.event_payloads.runs import ErrorInfo as ServiceError
from runyard_service.domain.event_payloads.runs import RunUsage

# The id of the run is `run_id`, and `object` is the same in every event of a type.
IMPLIED = {"object"}


def keys_of(event_class: type[Event]) -> set[str]:
    """Return the keys of the event's data that the class has a field for."""
    return {
        field.metadata.get("key") or field.name
        for field in fields(event_class)
        if field.name != "raw" and "of_event" not in field.metadata
    }


def test_each_type_of_the_catalogue_has_a_class() -> None:
    assert set(events.BY_TYPE) == set(EVENT_PAYLOADS)


@pytest.mark.parametrize("type_", sorted(EVENT_PAYLOADS))
def test_a_class_has_the_fields_of_its_type(type_: str) -> None:
    expected = set(get_type_hints(EVENT_PAYLOADS[type_])) - IMPLIED  # type: ignore[index]
    if type_.startswith("run."):
        expected -= {"id"}
    assert keys_of(events.BY_TYPE[type_]) >= expected
    assert events.BY_TYPE[type_].is_terminal is (type_ in TERMINAL_TYPES)


def test_errors_and_usage_have_the_fields_of_the_service() -> None:
    assert {field.name for field in fields(ErrorInfo)} - {"raw"} == set(
        ServiceError.__annotations__
    )
    assert {field.name for field in fields(Usage)} - {"raw"} == set(RunUsage.__annotations__)


def event(type_: str, **data: Any) -> dict[str, Any]:
    return {
        "id": "4b6f7b7e-6c5c-4f9f-8f5f-0d7f1d6f0a01",
        "type": type_,
        "sequence": 7,
        "timestamp": "2026-11-28T12:00:00.000Z",
        "data": data,
    }


def test_unknown_fields_stay_in_raw() -> None:
    raw = event("agent.response.delta", delta="Hi", iteration=1, added_later=True)
    parsed = events.parse_event(raw, "run-1")
    assert isinstance(parsed, events.ResponseDelta)
    assert (parsed.delta, parsed.iteration, parsed.run_id, parsed.sequence) == ("Hi", 1, "run-1", 7)
    assert parsed.raw == raw
    assert parsed.data["added_later"] is True


def test_an_event_of_a_later_release_is_an_unknown_event() -> None:
    parsed = events.parse_event(event("run.forked", id="x"), "run-1")
    assert isinstance(parsed, events.UnknownEvent)
    assert (parsed.type, parsed.data, parsed.is_terminal) == ("run.forked", {"id": "x"}, False)


def test_nested_values_are_records() -> None:
    error = {"code": "limit_exceeded", "message": "steps", "provider": {"status": 500}}
    usage = {"input_tokens": 3, "output_tokens": 4, "steps": 1}
    parsed = events.parse_event(
        event("run.failed", id="x", object="run", status="failed", error=error, usage=usage)
    )
    match parsed:
        case events.RunFailed(error=found, usage=Usage(input_tokens=3, cost_usd=None)):
            assert (found.code, found.provider) == ("limit_exceeded", {"status": 500})
        case _:
            pytest.fail(f"no match: {parsed}")


def test_an_event_without_a_client_cannot_be_answered() -> None:
    request = events.parse_event(event("approval_request.created", id="request-1"))
    assert isinstance(request, events.ApprovalCreated)
    assert request.request_id == "request-1"
    with pytest.raises(RuntimeError, match=r"client\.runs\.answer or \.approve"):
        request.approve()
