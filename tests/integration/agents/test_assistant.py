"""Test the second sample agent with a thread as its input, and two versions of an agent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.service import Service

ServiceFactory = Callable[[str], Service]


@pytest.fixture
def service_of(stack: DevStack, stores: Stores) -> Iterator[ServiceFactory]:
    """Yield a function that returns the service for a key of this agent."""
    opened: list[Service] = []

    def open_for(agent: str) -> Service:
        secret = f"ry_for_{agent}"
        stores.access_keys.save(secret, project_id=PROJECT_ID, org_id=ORG_ID, agent=agent)
        opened.append(Service(stack.base_url, secret))
        return opened[-1]

    yield open_for
    for service in opened:
        service.close()


def thread(*contents: str) -> dict[str, Any]:
    """Return the input of a run in a thread of these messages."""
    messages = [{"role": "user", "content": content} for content in contents]
    return {"content": contents[-1], "count": len(messages), "messages": messages}


def test_the_assistant_answers_the_newest_message(service_of: ServiceFactory) -> None:
    run = service_of("assistant").create(thread("Hello", "How are you?"))
    assert run["output"] == {
        "content": "Thanks for writing “How are you?”! Messages in this thread so far: 2."
        " How can I help?"
    }


def test_the_assistant_looks_a_customer_up(service_of: ServiceFactory) -> None:
    run = service_of("assistant").create(thread("Who is customer-7421?"))
    assert run["output"]["content"].endswith(
        "customer-7421 is on the pro plan and has 2 open tickets."
    )


@pytest.mark.parametrize("text", ["Which one?", "I am not sure.", "Let me choose."])
def test_the_assistant_asks_what_is_meant(service_of: ServiceFactory, text: str) -> None:
    assistant = service_of("assistant")
    run = assistant.create(thread(text))
    (request,) = run["input_requests"]
    assert request["params"]["choices"] == ["the invoice", "the account", "the delivery"]
    assistant.answer(run, feedback="the account")
    done = assistant.wait(run["id"], "completed")
    assert done["output"]["content"] == "Good, then I begin with the account."


@pytest.mark.parametrize(
    ("is_approved", "said"),
    [(True, "Done: refunded, as refund-"), (False, "The refund was not approved")],
)
def test_the_assistant_asks_for_a_refund(
    service_of: ServiceFactory, is_approved: bool, said: str
) -> None:
    assistant = service_of("assistant")
    run = assistant.create(thread("Please refund my order."))
    assert run["input_requests"][0]["prompt"] == "Refund 49 for order 4812?"
    assistant.answer(run, is_approved=is_approved)
    assert assistant.wait(run["id"], "completed")["output"]["content"].startswith(said)


@pytest.mark.parametrize(
    ("agent", "version"),
    [("greeter", "1.10"), ("greeter@1.9", "1.9"), ("greeter@1.10", "1.10")],
)
def test_two_versions_run_at_the_same_time(
    service_of: ServiceFactory, stores: Stores, agent: str, version: str
) -> None:
    created = service_of(agent).create({"x": 1})
    run = stores.runs.get(created["id"])
    assert run is not None
    assert run.agent == f"greeter@{version}"
    snapshot = stores.definitions.get(run.definition_digest)
    assert snapshot["route_id"] == "test-greeter"
    assert snapshot["definition"]["instructions"] == f"Hello from {version}."
