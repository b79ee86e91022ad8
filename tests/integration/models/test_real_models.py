"""Test the sample agent with the protocols of real models: complete runs over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.servers.bedrock_server import (
    BedrockServer,
    ConverseResponse,
    ConverseToolUse,
    ConverseUsage,
)
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import (
    ChatResponse,
    ChatToolCall,
    ChatUsage,
    OpenAIServer,
)
from tests.support.service import Service, assert_whole

TICKET = {"ticket_subject": "Charged twice", "customer_id": "customer-7421"}
ANSWER = '{"category": "billing", "priority": "high", "suggested_reply": "Sorry!"}'


@contextmanager
def agent_on(stack: DevStack, stores: Stores, key: str, route: dict[str, Any]) -> Iterator[Service]:
    """Yield a service whose runs use the sample agent with another key and route."""
    folder = Path(stack.environment["AGENTS_DIR"])
    sample = (folder / "support_triage.yaml").read_text(encoding="utf-8")
    agent = folder / f"{key}.yaml"
    lines = "".join(f"  {name}: {value}\n" for name, value in route.items())
    with (folder / "routes.yaml").open("a", encoding="utf-8") as routes:
        routes.write(f"\n{key}:\n{lines}")
    agent.write_text(
        sample.replace("key: support_triage", f"key: {key}").replace(
            "route: scripted-support-triage", f"route: {key}"
        ),
        encoding="utf-8",
    )
    stores.access_keys.save(f"ry_{key}", project_id=PROJECT_ID, org_id=ORG_ID, agent=key)
    service = Service(stack.base_url, f"ry_{key}")
    yield service
    service.close()
    agent.unlink()


def test_a_run_on_an_openai_model(stack: DevStack, stores: Stores) -> None:
    responses = (
        ProviderFailure(429, retry_after="0"),
        ChatResponse(
            reasoning=("Who is", " this?"),
            text=("Let me ", "look."),
            tool_calls=(
                ChatToolCall("lookup-customer", ('{"customer', '_id": "customer-7421"}'), "c1"),
            ),
            usage=ChatUsage(prompt=100, completion=20, cached=40),
        ),
        ChatResponse(
            tool_calls=(ChatToolCall("refund", ('{"order_id": "1", "amount": 90}',), "c1"),),
        ),
        ChatResponse(tool_calls=(ChatToolCall("final_output", (ANSWER,), "c1"),)),
    )
    with OpenAIServer(*responses) as server:
        route = {
            "model": "openai:gpt-test",
            "base_url": server.base_url,
            "input_usd_per_million": "0.15",
            "output_usd_per_million": "0.6",
        }
        with agent_on(stack, stores, "triage_openai", route) as service:
            run = service.create(TICKET)
            assert run["status"] == "awaiting_input", run
            assert service.answer(run, is_approved=True).status_code == 200
            done = service.wait(run["id"], "completed", "failed")
            events = service.events(run["id"])
    assert_whole(events)
    assert done["output"]["suggested_reply"] == "Sorry!"
    # 120 prompt tokens and 30 completion tokens at the price of the route.
    assert done["usage"]["cost_usd"] == pytest.approx(0.000036)
    assert (done["usage"]["input_tokens"], done["usage"]["output_tokens"]) == (120, 30)
    texts = {
        kind: "".join(e["data"]["delta"] for e in events if e["type"] == kind)
        for kind in ("agent.reasoning.delta", "agent.response.delta")
    }
    assert texts == {
        "agent.reasoning.delta": "Who is this?",
        "agent.response.delta": "Let me look.",
    }
    # The last request to the provider: both calls with their results, in order.
    roles = [message["role"] for message in server.received[-1].json["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool"]


def test_a_run_on_a_bedrock_model(stack: DevStack, stores: Stores) -> None:
    responses = (
        ProviderFailure(429, "ThrottlingException"),
        ConverseResponse(
            text=("Let me ", "look."),
            tool_uses=(ConverseToolUse("lookup-customer", ('{"customer_id": "customer-7421"}',)),),
            usage=ConverseUsage(input=50, output=10),
        ),
        ConverseResponse(tool_uses=(ConverseToolUse("final_output", (ANSWER,)),)),
    )
    with BedrockServer(*responses) as server:
        route = {
            "model": "bedrock:anthropic.claude-haiku-4-5",
            "base_url": server.url,
            "region": "us-east-1",
        }
        with agent_on(stack, stores, "triage_bedrock", route) as service:
            run = service.create(TICKET)
            assert run["status"] == "completed", run
            events = service.events(run["id"])
    assert_whole(events)
    assert run["output"]["category"] == "billing"
    completed = [e["data"] for e in events if e["type"] == "agent.tool_call.completed"]
    assert [call["tool"]["name"] for call in completed] == ["lookup-customer"]


def test_a_key_rejected_by_the_provider_fails_the_run(stack: DevStack, stores: Stores) -> None:
    with OpenAIServer(ProviderFailure(401)) as server:
        route = {"model": "openai:gpt-test", "base_url": server.base_url}
        with agent_on(stack, stores, "triage_rejected", route) as service:
            run = service.create(TICKET)
    assert run["status"] == "failed"
    assert run["error"]["code"] == "model_rejected"
    assert "401" in run["error"]["message"]
