"""The paths of the sample agent over HTTP, as in the session of the README."""

import pytest

from tests.support.service import Service, assert_whole

TWICE = {
    "ticket_subject": "Charged twice for June invoice",
    "ticket_body": "Hi, my card was charged twice this month. Order #4812.",
}


def test_a_clear_ticket_completes_without_input(service: Service) -> None:
    run = service.create({"ticket_subject": "Export is broken"}, user_id="customer-7421")
    assert run["status"] == "completed"
    assert run["output"]["category"] == "technical"
    assert run["user_id"] == "customer-7421"
    assert set(run["usage"]) == {"input_tokens", "output_tokens", "steps", "duration_ms"}
    events = service.events(run["id"])
    assert_whole(events)
    assert events[0]["type"] == "run.started"
    assert events[-1]["data"]["output"] == run["output"]


@pytest.mark.usefixtures("samples")
def test_a_tool_looks_up_the_customer(service: Service) -> None:
    run = service.create({"ticket_subject": "Slow", "customer_id": "customer-7421"})
    assert run["output"]["priority"] == "high"
    call = next(e for e in service.events(run["id"]) if e["type"] == "agent.tool_call.completed")
    assert call["data"]["tool"] == {"name": "lookup-customer", "type": "http-api-call"}
    assert call["data"]["input"] == {"customer_id": "customer-7421"}
    assert call["data"]["iteration"] == 1
    assert "customer_tier" in call["data"]["result"]


@pytest.mark.usefixtures("samples")
def test_the_model_gets_the_error_of_a_tool(service: Service) -> None:
    run = service.create({"ticket_subject": "Slow", "customer_id": "customer-503"})
    assert run["status"] == "completed"
    assert "could not open your account" in run["output"]["suggested_reply"]
    failed = next(e for e in service.events(run["id"]) if e["type"] == "agent.tool_call.failed")
    assert failed["data"]["error"]["code"] == "http_503"


def test_an_unclear_ticket_creates_an_input_request(service: Service) -> None:
    run = service.create({"ticket_subject": "Help!"})
    assert run["status"] == "awaiting_input"
    assert run["input_requests"][0]["type"] == "human_feedback"
    assert service.answer(run, feedback="account").json() == {"message": "ok"}
    done = service.wait(run["id"], "completed")
    assert done["output"]["category"] == "account"
    assert "input_requests" not in done
    types = [event["type"] for event in service.events(run["id"])]
    start = types.index("agent.tool_call.started")
    assert types[start : start + 6] == [
        "agent.tool_call.started",
        "agent.human_feedback.requested",
        "run.paused",
        "agent.human_feedback.received",
        "run.resumed",
        "agent.tool_call.completed",
    ]


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("amount", [None, 20])
def test_an_approved_refund_is_made_once(service: Service, amount: int | None) -> None:
    run = service.create(TWICE)
    assert run["status"] == "awaiting_input"
    request = run["input_requests"][0]
    assert request["type"] == "approval_request"
    assert request["prompt"] == "Refund 49 for order 4812?"
    assert request["editable_params"] == ["amount"]
    edits = {"params": {"amount": amount}} if amount else {}
    assert service.answer(run, is_approved=True, **edits).status_code == 200
    done = service.wait(run["id"], "completed")
    assert "We have refunded it" in done["output"]["suggested_reply"]
    by_type = {event["type"]: event["data"] for event in service.events(run["id"])}
    effective = {"order_id": "4812", "amount": amount or 49}
    assert by_type["approval_request.resolved"]["effective_params"] == effective
    assert by_type["approval_request.resolved"]["proposed_params"] == request["params"]
    assert by_type["agent.tool_call.completed"]["input"] == effective


@pytest.mark.usefixtures("samples")
def test_a_denied_refund_is_not_made(service: Service) -> None:
    run = service.create(TWICE)
    assert service.answer(run, is_approved=False, feedback="not ours").status_code == 200
    done = service.wait(run["id"], "completed")
    assert "refunded" not in done["output"]["suggested_reply"]
    by_type = {event["type"]: event["data"] for event in service.events(run["id"])}
    assert by_type["agent.tool_call.failed"]["error"] == {
        "code": "denied",
        "message": "A person denied this call: not ours",
    }


def test_a_model_error_fails_the_run(service: Service) -> None:
    run = service.create({"ticket_subject": "The model fails"})
    assert run["status"] == "failed"
    assert run["error"]["code"] == "model_rejected"
    assert_whole(service.events(run["id"]))


def test_a_run_waits_for_a_busy_provider(service: Service) -> None:
    run = service.create({"ticket_subject": "The provider is busy"})
    assert run["status"] == "completed"


def test_a_stream_contains_every_event_of_a_run(service: Service) -> None:
    run = service.create({"ticket_subject": "Export is broken"}, background=True)
    assert run["status"] == "created"
    frames = list(service.stream(run["id"]))
    events = [frame.json() for frame in frames]
    assert_whole(events)
    assert [(frame.id, frame.event) for frame in frames] == [
        (str(event["sequence"]), event["type"]) for event in events
    ]
    assert events == service.events(run["id"])


def test_a_waiting_run_can_be_canceled(service: Service) -> None:
    run = service.create(TWICE)
    for _ in range(2):
        response = service.http.post(f"/v1/runs/{run['id']}/cancel")
        assert (response.status_code, response.json()) == (200, {"message": "canceled"})
    assert service.run(run["id"])["status"] == "canceled"
    assert service.answer(run, is_approved=True).status_code == 400
    assert_whole(service.events(run["id"]))
