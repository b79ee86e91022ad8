"""Runs of agents in the user's own code, over the real log."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runyard import Context, StepFailed
from tests.integration.own_code.conftest import CodeRuns

Input = dict[str, Any]


async def refund(ctx: Context, data: Input) -> Input:
    order = await ctx.step("load", lambda: {"amount": 49}, effect="none")
    ctx.emit("loaded", order)
    summary = await ctx.call_model("Summarize.")
    hits = await ctx.call_tool("look", q=summary.text)
    answer = await ctx.approve("Refund?", {"amount": order["amount"]}, editable=["amount"])
    reason = await ctx.ask("Why?", choices=["broken", "late"])
    paid = await ctx.step("pay", lambda amount: f"paid {amount}", answer.params["amount"])
    return {"hits": hits, "paid": paid, "reason": reason, "ok": answer.is_approved}


def test_every_operation_is_in_the_log(code_runs: CodeRuns) -> None:
    run = code_runs.start(refund)
    code_runs.pause(run)
    [request] = code_runs.stores.input_requests.open_of_run(run.id)
    assert request.tool == {"name": "approve", "type": "approval", "effect": "none"}
    assert (request.agent, request.params_schema) == (run.agent, None)
    code_runs.answer(run, is_approved=True, params={"amount": 30})
    code_runs.pause(run)
    code_runs.answer(run, feedback="late")
    end = code_runs.finish(run)
    assert end.data["output"] == {
        "hits": "found Hello.",
        "paid": "paid 30",
        "reason": "late",
        "ok": True,
    }
    assert code_runs.types(run) == [
        "run.started",
        "agent.step.completed",
        "agent.emitted",
        "agent.message.completed",
        "agent.tool_call.started",
        "agent.tool_call.completed",
        "agent.tool_call.started",
        "approval_request.created",
        "run.paused",
        "approval_request.resolved",
        "run.resumed",
        "agent.tool_call.completed",
        "agent.tool_call.started",
        "agent.human_feedback.requested",
        "run.paused",
        "agent.human_feedback.received",
        "run.resumed",
        "agent.tool_call.completed",
        "agent.step.started",
        "agent.step.completed",
        "run.completed",
    ]
    first = code_runs.events(run)[0]
    assert first.data["code"] == {
        "function": "runyard-agent-test",
        "version": "7",
        "sha256": "first",
    }


def test_a_sleep_pauses_the_run_until_its_time(code_runs: CodeRuns) -> None:
    wake = datetime.now(UTC) + timedelta(hours=1)

    async def sleeper(ctx: Context, data: Input) -> str:
        await ctx.sleep(until=wake if data.get("long") else datetime.now(UTC))
        return "awake"

    run = code_runs.start(sleeper)
    assert code_runs.finish(run).data["output"] == {"content": "awake"}

    async def long_sleeper(ctx: Context, data: Input) -> str:
        await ctx.sleep(until=wake)
        return "awake"

    run = code_runs.start(long_sleeper)
    paused = code_runs.advance(run)
    assert paused.outcome == "needs_input"
    assert 3590 < paused.wait_seconds <= 3600
    assert code_runs.ask(run, met=paused)
    event = code_runs.events(run)[-1]
    assert (event.type, event.data["reason"]) == ("run.paused", "sleeping")
    # An execution that is started too early waits again.
    assert code_runs.advance(run).outcome == "needs_input"


def test_branches_run_at_the_same_time(code_runs: CodeRuns) -> None:
    async def branches(ctx: Context, data: Input) -> Any:
        return await asyncio.gather(
            ctx.call_tool("look", q="a"),
            ctx.call_tool("look", q="b"),
            ctx.step("add", lambda: 3, effect="none"),
            ctx.step("unsafe", lambda: 4),
        )

    run = code_runs.start(branches)
    assert code_runs.finish(run).data["output"] == {"content": '["found a", "found b", 3, 4]'}
    # All operations start in the first invocation, and the unsafe step runs in the second.
    assert len(code_runs.endpoint.invocations) == 2


def test_a_step_that_broke_off_is_decided_by_a_person(code_runs: CodeRuns) -> None:
    paid = []

    async def paying(ctx: Context, data: Input) -> Any:
        try:
            return await ctx.step("pay", lambda: paid.append(1))
        except StepFailed as error:
            return error.code

    run = code_runs.start(paying)
    original = code_runs.endpoint.code

    def breaks_second(event: Any) -> Any:
        if event["may_run"]:
            code_runs.endpoint.failures = ["Runtime.ExitError"]
        return original(event)

    code_runs.endpoint.code = breaks_second
    code_runs.pause(run)
    assert paid == [1]
    request = code_runs.events(run)[-2]
    assert request.data["params"]["choices"] == ["repeat", "skip", "fail"]
    code_runs.endpoint.code = original
    code_runs.answer(run, feedback="skip")
    assert code_runs.finish(run).data["output"] == {"content": "skipped"}
    assert paid == [1]


def test_a_broken_invocation_without_unsafe_steps_is_repeated(code_runs: CodeRuns) -> None:
    async def pure(ctx: Context, data: Input) -> int:
        return int(await ctx.step("count", lambda: 5, effect="none"))

    run = code_runs.start(pure)
    code_runs.endpoint.failures = ["Sandbox.Timedout"]
    assert code_runs.finish(run).data["output"] == {"content": "5"}
    assert len(code_runs.endpoint.invocations) == 2


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (None, "the response"),
        ({"protocol": 2, "status": "waiting", "ops": []}, "protocol"),
        ({"protocol": 1, "status": "waiting"}, "needs ops, or more"),
        ({"protocol": 1, "status": "failed"}, "needs an error"),
        (
            {
                "protocol": 1,
                "status": "waiting",
                "more": True,
                "done": [
                    {"key": "k", "name": "n", "digest": "0" * 64, "effect": "unsafe", "value": 1}
                ],
            },
            "which was not in may_run",
        ),
        (
            {
                "protocol": 1,
                "status": "waiting",
                "ops": [
                    {"key": "k", "op": "model", "name": "model", "digest": "0" * 64, "args": {}}
                ],
            },
            "The arguments of k are invalid: messages",
        ),
    ],
)
def test_a_response_that_breaks_the_protocol_fails_the_run(
    code_runs: CodeRuns, response: Any, words: str
) -> None:
    async def any_code(ctx: Context, data: Input) -> None:
        return None

    run = code_runs.start(any_code)
    code_runs.endpoint.code = lambda event: response
    error = code_runs.finish(run).data["error"]
    assert error["code"] == "invalid_response"
    assert words in error["message"]


def test_an_exception_fails_the_run_with_its_type(code_runs: CodeRuns) -> None:
    async def broken(ctx: Context, data: Input) -> None:
        raise KeyError("customer")

    run = code_runs.start(broken)
    error = code_runs.finish(run).data["error"]
    assert (error["code"], error["message"]) == ("agent_error", "KeyError: 'customer'")


def test_changed_code_fails_before_any_effect(code_runs: CodeRuns) -> None:
    paid = []

    async def before(ctx: Context, data: Input) -> None:
        await ctx.call_tool("look", q="a")
        await ctx.ask("Continue?")

    async def after(ctx: Context, data: Input) -> None:
        await ctx.call_tool("look", q="b")
        await ctx.step("pay", lambda: paid.append(1))

    run = code_runs.start(before)
    code_runs.pause(run)
    code_runs.start(after)
    code_runs.answer(run, feedback="yes")
    error = code_runs.finish(run).data["error"]
    assert error["code"] == "code_changed"
    assert "tool:look#1" in error["message"]
    assert paid == []


def test_a_function_without_the_prefix_is_never_called(code_runs: CodeRuns) -> None:
    async def any_code(ctx: Context, data: Input) -> None:
        return None

    code_runs.worker = replace(code_runs.worker, agent_function_prefix="runyard-agent-")
    run = code_runs.start(any_code, function="other-team-function")
    error = code_runs.finish(run).data["error"]
    assert error["code"] == "code_missing"
    assert "AgentFunctionPrefix" in error["message"]
    assert code_runs.endpoint.received == []
    assert code_runs.types(run) == ["run.started", "run.failed"]
    # The local stack finds a function in a file by another way.
    local = code_runs.start(any_code, function="./claims/app.py:handler")
    assert code_runs.finish(local).type == "run.completed"


def test_an_input_request_delays_the_end_of_a_sleep_and_is_published_once(
    code_runs: CodeRuns,
) -> None:
    async def both(ctx: Context, data: Input) -> Any:
        answer, _ = await asyncio.gather(ctx.ask("Why?"), ctx.sleep(hours=1))
        return answer

    run = code_runs.start(both)
    code_runs.pause(run)
    paused = code_runs.events(run)[-1]
    assert (paused.type, "until" in paused.data) == ("run.paused", False)
    # An execution that the sweep starts too early waits again, and writes nothing.
    again = code_runs.advance(run)
    assert code_runs.ask(run, met=again)
    assert code_runs.types(run).count("run.paused") == 1
    assert code_runs.record(run).open_requests == 1
    code_runs.answer(run, feedback="late")
    code_runs.pause(run)
    assert code_runs.events(run)[-1].data["reason"] == "sleeping"
    assert code_runs.record(run).open_requests == 0


def test_a_journal_of_more_than_4_mb_is_read_from_an_address(code_runs: CodeRuns) -> None:
    async def large(ctx: Context, data: Input) -> int:
        texts = [await ctx.step("read", lambda: "x" * 250_000, effect="none") for _ in range(18)]
        await ctx.ask("Continue?")
        return sum(map(len, texts))

    run = code_runs.start(large)
    code_runs.pause(run)
    # A new process has no paused code.
    code_runs.endpoint.code.release()
    code_runs.answer(run, feedback="yes")
    assert code_runs.finish(run).data["output"] == {"content": "4500000"}
    last = code_runs.endpoint.invocations[-1]
    assert "journal" not in last
    assert f"/runs/{run.id}/payloads/" in last["journal_url"]
