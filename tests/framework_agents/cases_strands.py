"""Agents of Strands as durable agents."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, ToolContext, tool
from strands.hooks import BeforeToolCallEvent, HookProvider, HookRegistry
from strands.models import Model

from runyard.strands import serve
from runyard.testing import AgentFailed, replay, run
from tests.framework_agents.ledger import Ledger, keys, run_and_crash

LEDGER = Ledger()
Step = list[tuple[str, dict[str, Any]]] | str


class ScriptedModel(Model):
    """A model that makes these calls or says these texts, in order."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    def update_config(self, **model_config: Any) -> None:
        pass

    def get_config(self) -> dict[str, Any]:
        return {"model_id": "scripted"}

    def structured_output(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the adapter asks for a stream")

    async def stream(self, messages: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        number = sum(message["role"] == "assistant" for message in messages)
        step = self.steps[number]
        yield {"messageStart": {"role": "assistant"}}
        deltas = [({}, {"text": step})] if isinstance(step, str) else []
        if not isinstance(step, str):
            for index, (name, args) in enumerate(step):
                use = {"name": name, "toolUseId": f"t{number}-{index}"}
                deltas.append(({"toolUse": use}, {"toolUse": {"input": _json(args)}}))
        for start, delta in deltas:
            yield {"contentBlockStart": {"start": start}}
            yield {"contentBlockDelta": {"delta": delta}}
            yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn" if isinstance(step, str) else "tool_use"}}
        counts = {"inputTokens": 100, "outputTokens": 10, "totalTokens": 110}
        yield {"metadata": {"usage": counts, "metrics": {"latencyMs": 1}}}


def _json(args: dict[str, Any]) -> str:
    import json

    return json.dumps(args)


@tool
def find_order(order: int) -> dict[str, Any]:
    """Find an order."""
    return {"order": order, "amount": 49}


@tool
def refund(order: int, amount: int) -> str:
    """Refund an order."""
    LEDGER.add(f"refund {order} {amount}")
    return f"refunded {amount}"


@tool(context=True)
def confirm(order: int, tool_context: ToolContext) -> str:
    """Ask a person."""
    answer = tool_context.interrupt("confirm", reason={"message": f"Refund {order}?"})
    return f"the person says {answer}"


class ApprovalHook(HookProvider):
    """Ask a person before a refund."""

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        registry.add_callback(BeforeToolCallEvent, self.approve)

    def approve(self, event: BeforeToolCallEvent) -> None:
        if event.tool_use["name"] == "refund":
            answer = event.interrupt(
                "approval", reason={"amount": event.tool_use["input"]["amount"]}
            )
            if answer != "yes":
                event.cancel_tool = "the person says no"


def refunds(*steps: Step, **options: Any) -> Agent:
    tools = [find_order, refund, confirm]
    return Agent(ScriptedModel(*steps), tools=tools, callback_handler=None, **options)


REFUND: tuple[Step, ...] = (
    [("find_order", {"order": 7})],
    [("refund", {"order": 7, "amount": 49})],
    "Done.",
)


def test_a_hook_interrupts_and_the_unsafe_tool_runs_once() -> None:
    handler = serve(refunds(*REFUND, hooks=[ApprovalHook()]), effects={"find_order": "none"})
    result, report = run_and_crash(handler, LEDGER, {"prompt": "Refund 7"}, answers=lambda: ["yes"])
    assert result.output == "Done."
    assert [key.rpartition("/")[2] for key in keys(result)] == [
        "step:model#1",
        "step:find_order#1",
        "step:model#2",
        "ask:ask#1",
        "step:refund#1",
        "step:model#3",
    ]
    assert report.in_doubt == 1
    assert result.usage == [{"input_tokens": 100, "output_tokens": 10}] * 3


def test_a_denied_tool_does_not_run() -> None:
    handler = serve(refunds(*REFUND, hooks=[ApprovalHook()]))
    run(handler, {"prompt": "Refund 7"}, answers=["no"])
    assert LEDGER.effects == []


def test_calls_of_one_response_run_once_while_another_asks_a_person() -> None:
    calls = [
        ("confirm", {"order": 7}),
        ("refund", {"order": 7, "amount": 1}),
        ("refund", {"order": 8, "amount": 2}),
    ]
    handler = serve(refunds(calls, "Done."), effects={"confirm": "idempotent"})
    result, report = run_and_crash(handler, LEDGER, {"prompt": "Refund"}, answers=lambda: ["yes"])
    assert result.output == "Done."
    assert sum("step:refund" in key for key in keys(result)) == 2
    assert report.in_doubt > 0


def test_runs_do_not_share_the_messages_of_the_agent() -> None:
    agent = refunds(*REFUND)
    handler = serve(agent, output=lambda result: str(result))
    first = run(handler, {"prompt": "Refund 7"})
    second = run(handler, {"prompt": "Refund 7"})
    LEDGER.clear()
    assert keys(first) == keys(second)
    assert agent.messages == []


def test_the_service_requests_the_responses() -> None:
    requests: list[Any] = []

    def respond(operation: Any) -> Any:
        requests.append(operation["args"])
        if len(operation["args"]["messages"]) > 1:
            return "It costs 49."
        call = {"id": "c1", "name": "find_order", "input": {"order": 7}}
        return {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}

    agent = refunds(system_prompt="Refund orders.")
    handler = serve(agent, effects={"find_order": "none"}, model="runyard")
    result = run(handler, {"prompt": "How much?"}, model=respond)
    assert result.output == "It costs 49."
    assert "agent/model:model#2" in keys(result)
    assert requests[0]["instructions"] == "Refund orders."
    assert [item["name"] for item in requests[0]["tools"]] == ["find_order", "refund", "confirm"]
    assert requests[1]["messages"][2]["tool_call_id"] == "c1"
    assert replay(handler, result.journal, {"prompt": "How much?"}) == result.output


class City(BaseModel):
    """A city."""

    name: str
    inhabitants: int


def test_structured_output_works_unchanged() -> None:
    agent = refunds([("City", {"name": "Ulm", "inhabitants": 126_000})], "Ulm.")
    agent._default_structured_output_model = City
    result, _ = run_and_crash(serve(agent), LEDGER, {"prompt": "How many live in Ulm?"})
    assert result.output == {"name": "Ulm", "inhabitants": 126_000}


def test_a_changed_prompt_fails_before_an_effect() -> None:
    handler = serve(refunds(*REFUND))
    result = run(handler, {"prompt": "Refund 7"})
    LEDGER.clear()
    with pytest.raises(AgentFailed, match="code_changed"):
        replay(handler, result.journal, {"prompt": "Refund 8"})
    assert LEDGER.effects == []
