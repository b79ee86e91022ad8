"""Agents of the OpenAI Agents SDK as durable agents."""

import json
from typing import Any

import pytest
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from openai.types.responses.response_usage import InputTokensDetails
from pydantic import BaseModel

from agents import Agent, Model, ModelResponse, RunContextWrapper, Usage, function_tool, handoff
from runyard.openai_agents import serve
from runyard.testing import AgentFailed, replay, run
from tests.framework_agents.ledger import Ledger, keys, run_and_crash

LEDGER = Ledger()
Step = list[tuple[str, dict[str, Any]]] | str


class ScriptedModel(Model):
    """A model that makes these calls or says these texts, in order."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    async def get_response(
        self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any
    ) -> Any:
        items = [] if isinstance(input, str) else input
        outputs = [item for item in items if item.get("type") == "function_call_output"]
        # Each response of the script has calls, which have outputs, or ends the run.
        number, left = 0, len(outputs)
        while left > 0:
            left -= len(self.steps[number])
            number += 1
        details = InputTokensDetails(cached_tokens=40, cache_write_tokens=0)
        usage = Usage(requests=1, input_tokens=100, input_tokens_details=details, output_tokens=10)
        return ModelResponse(self._output(number), usage, None)

    def _output(self, number: int) -> list[Any]:
        step = self.steps[number]
        if isinstance(step, str):
            text = ResponseOutputText(type="output_text", text=step, annotations=[])
            return [
                ResponseOutputMessage(
                    id=f"m{number}",
                    type="message",
                    role="assistant",
                    status="completed",
                    content=[text],
                )
            ]
        return [
            ResponseFunctionToolCall(
                type="function_call",
                call_id=f"t{number}-{index}",
                name=name,
                arguments=json.dumps(args),
            )
            for index, (name, args) in enumerate(step)
        ]

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the adapter asks for whole responses")


@function_tool
def find_order(order: int) -> dict[str, int]:
    """Find an order."""
    return {"order": order, "amount": 49}


@function_tool(needs_approval=True)
def refund(order: int, amount: int) -> str:
    """Refund an order."""
    LEDGER.add(f"refund {order} {amount}")
    return f"refunded {amount}"


@function_tool
async def pay(to: str) -> str:
    """Pay a person."""
    LEDGER.add(f"pay {to}")
    return to


REFUND: tuple[Step, ...] = (
    [("find_order", {"order": 7})],
    [("refund", {"order": 7, "amount": 49})],
    "Done.",
)


def refunds(*steps: Step, **options: Any) -> Agent[Any]:
    return Agent(
        name="Refunds",
        instructions="Refund orders.",
        model=ScriptedModel(*steps),
        tools=[find_order, refund, pay],
        **options,
    )


def test_an_approved_tool_runs_once_at_each_crash_point() -> None:
    handler = serve(refunds(*REFUND), effects={"find_order": "none"})
    result, report = run_and_crash(handler, LEDGER, {"prompt": "Refund 7"}, answers=lambda: [True])
    assert result.output == "Done."
    assert [key.rpartition("/")[2] for key in keys(result)] == [
        "step:model#1",
        "step:find_order#1",
        "step:model#2",
        "approve:approve#1",
        "step:refund#1",
        "step:model#3",
    ]
    assert report.in_doubt == 1
    expected = {"input_tokens": 100, "output_tokens": 10, "cached_input_tokens": 40}
    assert result.usage == [expected] * 3


def test_a_rejected_tool_does_not_run() -> None:
    handler = serve(refunds(*REFUND))
    answer = {"is_approved": False, "feedback": "Too late."}
    result = run(handler, {"prompt": "Refund 7"}, answers=[answer])
    assert result.output == "Done."
    assert LEDGER.effects == []


def test_calls_of_one_response_run_once_while_another_waits_for_approval() -> None:
    calls = [("pay", {"to": name}) for name in "ab"] + [("refund", {"order": 7, "amount": 1})]
    handler = serve(refunds(calls, "Paid."))
    result, report = run_and_crash(handler, LEDGER, {"prompt": "Pay"}, answers=lambda: [True])
    assert result.output == "Paid."
    assert {"call-t0-0/step:pay#1", "call-t0-1/step:pay#1"} <= set(keys(result))
    assert report.in_doubt > 0


class City(BaseModel):
    name: str
    inhabitants: int


def test_handoffs_contexts_and_typed_output_work_unchanged() -> None:
    @function_tool
    def count(context: RunContextWrapper[dict[str, int]], name: str) -> int:
        """Count the inhabitants."""
        return context.context[name]

    cities = Agent[dict[str, int]](
        name="Cities",
        model=ScriptedModel(
            [("transfer_to_cities", {})],
            [("count", {"name": "Ulm"})],
            '{"name": "Ulm", "inhabitants": 126000}',
        ),
        tools=[count],
        output_type=City,
    )
    triage = Agent[dict[str, int]](
        name="Triage", model=ScriptedModel([("transfer_to_cities", {})]), handoffs=[handoff(cities)]
    )
    cities.handoffs.append(triage)
    handler = serve(triage, context=lambda data: {"Ulm": 126_000})
    result, _ = run_and_crash(handler, LEDGER, {"prompt": "How many live in Ulm?"})
    assert result.output == {"name": "Ulm", "inhabitants": 126_000}


def test_the_service_requests_the_responses() -> None:
    requests: list[Any] = []

    def respond(operation: Any) -> Any:
        requests.append(operation["args"])
        if len(operation["args"]["messages"]) > 1:
            return "It costs 49."
        call = {"id": "c1", "name": "find_order", "input": {"order": 7}}
        return {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}

    handler = serve(refunds(), effects={"find_order": "none"}, model="runyard")
    result = run(handler, {"prompt": "How much?"}, model=respond)
    assert result.output == "It costs 49."
    assert "agent/model:model#2" in keys(result)
    assert requests[0]["instructions"] == "Refund orders."
    assert [item["name"] for item in requests[0]["tools"]] == ["find_order", "refund", "pay"]
    assert [message["role"] for message in requests[1]["messages"]] == ["user", "assistant", "tool"]
    assert replay(handler, result.journal, {"prompt": "How much?"}) == result.output


def test_changed_arguments_fail_before_an_effect() -> None:
    handler = serve(refunds(*REFUND))
    result = run(handler, {"prompt": "Refund 7"}, answers=[True])
    LEDGER.clear()
    with pytest.raises(AgentFailed, match="code_changed"):
        replay(handler, result.journal, {"prompt": "Refund 8"})
    assert LEDGER.effects == []
