"""Agents of pydantic-ai as durable agents."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext, ToolReturn
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from runyard.pydantic_ai import serve
from runyard.testing import AgentFailed, replay, run
from tests.framework_agents.ledger import Ledger, keys, run_and_crash

LEDGER = Ledger()


def scripted(*steps: list[tuple[str, dict[str, Any]]] | str) -> FunctionModel:
    """Return a model that makes these calls or says these texts, in order."""

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        step = steps[sum(isinstance(message, ModelResponse) for message in messages)]
        if isinstance(step, str):
            return ModelResponse(parts=[TextPart(step)])
        return ModelResponse(parts=[ToolCallPart(name, args) for name, args in step])

    return FunctionModel(respond)


def returned(messages: list[ModelMessage]) -> list[Any]:
    return [p.content for m in messages for p in m.parts if isinstance(p, ToolReturnPart)]


def refunds(model: Any) -> Agent[None, str]:
    agent = Agent(model, instructions="Refund orders.")

    @agent.tool_plain
    def find_order(order: int) -> dict[str, int]:
        return {"order": order, "amount": 49}

    @agent.tool_plain(requires_approval=True)
    def refund(order: int, amount: int) -> str:
        LEDGER.add(f"refund {order} {amount}")
        return f"refunded {amount}"

    return agent


REFUND = scripted([("find_order", {"order": 7})], [("refund", {"order": 7, "amount": 49})], "Done.")


def test_an_approved_tool_runs_once_at_each_crash_point() -> None:
    handler = serve(refunds(REFUND), effects={"find_order": "none"})
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
    assert len(result.usage) == 3
    assert all(each["output_tokens"] > 0 for each in result.usage)


def test_a_person_changes_the_arguments_of_a_tool() -> None:
    handler = serve(refunds(REFUND))
    run(handler, {"prompt": "Refund 7"}, answers=[{"is_approved": True, "params": {"amount": 20}}])
    assert LEDGER.effects == ["refund 7 20"]
    LEDGER.clear()


def test_a_denied_tool_does_not_run() -> None:
    handler = serve(refunds(REFUND))
    run(handler, {"prompt": "Refund 7"}, answers=[{"is_approved": False, "feedback": "No."}])
    assert LEDGER.effects == []


def test_calls_of_one_response_run_at_the_same_time_and_once() -> None:
    agent = Agent(scripted([("pay", {"to": name}) for name in "abc"], "Paid."))

    @agent.tool_plain
    async def pay(to: str) -> str:
        LEDGER.add(f"pay {to}")
        return to

    result, report = run_and_crash(serve(agent), LEDGER, {"prompt": "Pay all"})
    assert result.output == "Paid."
    assert len({key for key in keys(result) if "step:pay" in key}) == 3
    assert result.invocations == 2
    assert report.in_doubt == 1


def test_the_service_requests_the_responses() -> None:
    seen: list[Any] = []

    def respond(operation: Any) -> Any:
        seen.append(operation["args"])
        if len(seen) % 2 == 1:
            call = {"id": "c1", "name": "find_order", "input": {"order": 7}}
            return {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}
        return "It costs 49."

    handler = serve(refunds(TestModel()), effects={"find_order": "none"}, model="runyard")
    result = run(handler, {"prompt": "How much?"}, model=respond)
    assert result.output == "It costs 49."
    assert "agent/model:model#2" in keys(result)
    assert seen[0]["instructions"] == "Refund orders."
    assert [tool["name"] for tool in seen[0]["tools"]] == ["find_order", "refund"]
    assert seen[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "name": "find_order", "input": {"order": 7}}],
        },
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": '{"amount":49,"order":7}',
            "is_error": False,
        },
    ]
    assert replay(handler, result.journal, {"prompt": "How much?"}) == result.output


class City(BaseModel):
    name: str
    inhabitants: int


@dataclass
class Directory:
    cities: dict[str, int]


def test_typed_output_dependencies_and_retries_work_unchanged() -> None:
    model = scripted(
        [("count", {"name": "Ulme"})],
        [("count", {"name": "Ulm"})],
        [("final_result", {"name": "Ulm", "inhabitants": 126_000})],
    )
    agent = Agent(model, deps_type=Directory, output_type=City)

    @agent.system_prompt
    def rules(ctx: RunContext[Directory]) -> str:
        return f"{len(ctx.deps.cities)} cities."

    @agent.tool(retries=2)
    async def count(ctx: RunContext[Directory], name: str) -> ToolReturn:
        if name not in ctx.deps.cities:
            raise ModelRetry(f"no city {name}")
        return ToolReturn(ctx.deps.cities[name], content="from the register")

    handler = serve(agent, deps=lambda data: Directory({"Ulm": 126_000}))
    result, _ = run_and_crash(handler, LEDGER, {"prompt": "How many live in Ulm?"})
    assert result.output == {"name": "Ulm", "inhabitants": 126_000}


def test_changed_arguments_fail_before_an_effect() -> None:
    result = run(serve(refunds(REFUND)), {"prompt": "Refund 7"}, answers=[True])
    LEDGER.clear()
    with pytest.raises(AgentFailed, match="code_changed"):
        replay(serve(refunds(REFUND)), result.journal, {"prompt": "Refund 8"})
    assert LEDGER.effects == []


def test_an_unknown_effect_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"effects\['pay'\] is 'safe'"):
        serve(refunds(REFUND), effects={"pay": "safe"})  # type: ignore[dict-item]
