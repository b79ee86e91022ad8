"""The operations of `ctx`, run by `runyard.testing` with an in-memory journal."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runyard import Context, StepFailed, SyncContext, agent
from runyard.durable.handler import Agent
from runyard.testing import AgentFailed, crash_everywhere, replay, run

Input = dict[str, Any]


class Bank:
    """The effects of the steps, which the tests count."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.looked_up = 0

    def look_up(self, order: int) -> Input:
        self.looked_up += 1
        return {"id": order, "amount": 49}

    def pay(self, amount: int) -> str:
        self.paid.append(amount)
        return f"paid {amount}"


@pytest.fixture
def bank() -> Bank:
    return Bank()


def refund_agent(bank: Bank) -> Agent:
    @agent
    async def refund(ctx: Context, data: Input) -> Input:
        order = await ctx.step("look_up", bank.look_up, data["order"], effect="none")
        ctx.emit("order", order)
        response = await ctx.call_model(f"Refund order {order['id']}?")
        hits = await ctx.call_tool("search", query=response.text)
        answer = await ctx.approve("Refund?", {"amount": order["amount"]}, editable=["amount"])
        reason = await ctx.ask("Why?")
        paid = (
            await ctx.step("pay", bank.pay, answer.params["amount"]) if answer.is_approved else ""
        )
        await ctx.sleep(days=3)
        return {"hits": hits, "paid": paid, "reason": reason, "id": str(ctx.uuid())}

    return refund


TOOLS: dict[str, Callable[..., Any]] = {"search": lambda query: f"found {query}"}


def test_a_run_returns_its_output_and_its_events(bank: Bank) -> None:
    result = run(
        refund_agent(bank),
        {"order": 7},
        model=["yes"],
        tools=TOOLS,
        answers=[{"is_approved": True, "params": {"amount": 30}}, "broken"],
    )
    assert result.output["paid"] == "paid 30"
    assert result.output["hits"] == "found yes"
    assert result.output["reason"] == "broken"
    assert result.emitted == [("order", {"amount": 49, "id": 7})]
    assert [entry["key"] for entry in result.journal] == [
        "step:look_up#1",
        "emit:order#1",
        "model:model#1",
        "tool:search#1",
        "approve:approve#1",
        "ask:ask#1",
        "step:pay#1",
        "sleep:sleep#1",
    ]


def test_no_crash_repeats_an_unsafe_step_or_changes_the_output(bank: Bank) -> None:
    most_paid = 0

    def check() -> None:
        nonlocal most_paid
        most_paid = max(most_paid, len(bank.paid))

    report = crash_everywhere(
        refund_agent(bank),
        {"order": 7},
        model=lambda: iter(["yes"] * 3),
        tools=TOOLS,
        answers=lambda: iter([True, "broken"]),
        before=bank.paid.clear,
        check=check,
    )
    assert most_paid == 1
    assert report.runs == 21
    assert report.in_doubt == 1, "only the lost response of the unsafe step is in doubt"


def test_a_held_run_calls_its_code_once(bank: Bank) -> None:
    starts = 0

    @agent
    async def counting(ctx: Context, data: Input) -> int:
        nonlocal starts
        starts += 1
        for number in range(5):
            await ctx.step("pay", bank.pay, number)
        return starts

    assert run(counting).output == 1
    assert bank.paid == [0, 1, 2, 3, 4]


def test_a_replay_makes_no_step_again(bank: Bank) -> None:
    refund = refund_agent(bank)
    first = run(refund, {"order": 7}, model=["yes"], tools=TOOLS, answers=[True, "broken"])
    assert replay(refund, first.journal, {"order": 7}) == first.output
    assert bank.looked_up == 1
    assert bank.paid == [49]


def test_changed_arguments_fail_before_any_effect(bank: Bank) -> None:
    @agent
    async def before(ctx: Context, data: Input) -> Any:
        await ctx.step("look_up", bank.look_up, 1, effect="none")
        return await ctx.step("pay", bank.pay, 49)

    @agent
    async def after(ctx: Context, data: Input) -> Any:
        await ctx.step("look_up", bank.look_up, 2, effect="none")
        return await ctx.step("pay", bank.pay, 49)

    journal = run(before).journal[:1]
    bank.paid.clear()
    with pytest.raises(AgentFailed, match=r"code_changed: .*step:look_up#1.*new version") as failed:
        replay(after, journal)
    assert failed.value.code == "code_changed"
    assert bank.paid == []


def test_code_cannot_hide_that_it_changed(bank: Bank) -> None:
    @agent
    async def hiding(ctx: Context, data: Input) -> str:
        try:
            await ctx.step("look_up", bank.look_up, 2, effect="none")
        except Exception:  # noqa: BLE001 - what careless code does
            await ctx.step("pay", bank.pay, 1)
        return "hidden"

    with pytest.raises(AgentFailed) as failed:
        replay(hiding, [{"key": "step:look_up#1", "digest": "0" * 64, "value": None}])
    assert failed.value.code == "code_changed"
    assert bank.paid == []


@pytest.mark.parametrize(
    ("returned", "received"),
    [("as it is", "as it is"), ({"é": [1, None]}, '{"é": [1, null]}'), (3, "3")],
)
def test_the_code_receives_the_result_of_a_tool_as_text(returned: Any, received: str) -> None:
    @agent
    async def handler(ctx: Context, data: Input) -> Any:
        return await ctx.call_tool("find")

    assert run(handler, {}, tools={"find": lambda: returned}).output == received


def test_branches_have_their_own_keys_in_any_order() -> None:
    async def wait(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @agent
    async def branches(ctx: Context, data: Input) -> Any:
        async def branch(first: float, second: float) -> list[float]:
            return [
                await ctx.step("wait", wait, first, effect="none"),
                await ctx.step("wait", wait, second, effect="none"),
            ]

        return await asyncio.gather(branch(0.02, 0.001), branch(0.001, 0.002))

    first = run(branches)
    assert first.output == [[0.02, 0.001], [0.001, 0.002]]
    assert {entry["key"] for entry in first.journal} == {
        "1/step:wait#1",
        "1/step:wait#2",
        "2/step:wait#1",
        "2/step:wait#2",
    }
    assert replay(branches, first.journal) == first.output


def test_a_named_scope_does_not_depend_on_the_order() -> None:
    @agent
    async def scoped(ctx: Context, data: Input) -> None:
        for name in ("left", "right"):
            with ctx.scope(name):
                await ctx.step("one", lambda: 1, effect="none")
                await ctx.step("one", lambda: 1, effect="none")

    assert [entry["key"] for entry in run(scoped).journal] == [
        "left/step:one#1",
        "left/step:one#2",
        "right/step:one#1",
        "right/step:one#2",
    ]


def test_code_that_blocks_uses_the_same_operations(bank: Bank) -> None:
    @agent
    def blocking(ctx: SyncContext, data: Input) -> Input:
        with ctx.scope("payment"):
            paid = ctx.step("pay", bank.pay, 5)
        ctx.emit("paid", paid)
        return {"paid": paid, "name": ctx.ask("Name?"), "response": ctx.call_model("hi").text}

    result = run(blocking, model=["hello"], answers=["Ada"])
    assert result.output == {"paid": "paid 5", "name": "Ada", "response": "hello"}
    assert result.journal[0]["key"] == "payment/step:pay#1"
    assert replay(blocking, result.journal) == result.output


def test_time_and_random_values_are_the_same_in_each_replay() -> None:
    @agent
    async def lucky(ctx: Context, data: Input) -> list[Any]:
        return [str(ctx.uuid()), str(ctx.uuid()), ctx.random(), (await ctx.now()).isoformat()]

    first = run(lucky)
    assert first.output[0] != first.output[1]
    assert replay(lucky, first.journal) == first.output


def test_a_failed_step_is_recorded_and_raised_again() -> None:
    calls = 0

    def fail() -> None:
        nonlocal calls
        calls += 1
        raise LookupError("no such order")

    @agent
    async def careful(ctx: Context, data: Input) -> list[str]:
        try:
            await ctx.step("fail", fail)
        except StepFailed as error:
            return [error.code, error.type, error.message]
        return []

    first = run(careful)
    assert first.output == ["step_error", "LookupError", "no such order"]
    assert replay(careful, first.journal) == first.output
    assert calls == 1


def test_a_step_is_retried_only_where_that_is_safe() -> None:
    attempts = 0

    def flaky() -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ConnectionError("reset")
        return attempts

    @agent
    async def retrying(ctx: Context, data: Input) -> int:
        return int(await ctx.step("flaky", flaky, effect="idempotent", retry=3))

    @agent
    async def unsafe(ctx: Context, data: Input) -> None:
        await ctx.step("flaky", flaky, retry=3)

    assert run(retrying).output == 3
    with pytest.raises(AgentFailed, match="'flaky' is unsafe, so it is never repeated"):
        run(unsafe)


class Handle:
    """A value that is not JSON."""


async def step_in_a_step(ctx: Context, data: Input) -> None:
    async def outer() -> None:
        await ctx.step("inner", lambda: 1)

    await ctx.step("outer", outer)


async def argument_that_is_not_json(ctx: Context, data: Input) -> None:
    await ctx.step("use", lambda handle: 1, Handle())


async def result_that_is_not_json(ctx: Context, data: Input) -> None:
    await ctx.step("open", Handle)


async def result_that_is_too_large(ctx: Context, data: Input) -> None:
    await ctx.step("read", lambda: "x" * 7_000_000)


async def output_that_is_not_json(ctx: Context, data: Input) -> Any:
    return {"rows": [{"at": datetime(2026, 1, 1, tzinfo=UTC)}]}


async def exception(ctx: Context, data: Input) -> None:
    raise KeyError("customer")


async def sleep_without_a_time_zone(ctx: Context, data: Input) -> None:
    await ctx.sleep(until=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (step_in_a_step, "The step 'outer' uses ctx. A step cannot contain an operation"),
        (argument_that_is_not_json, "An argument of the step 'use' is not JSON.*Handle.*ident="),
        (result_that_is_not_json, "The step 'open' returned a value that is not JSON.*Handle"),
        (result_that_is_too_large, "The step 'read' returned 7,000,002 bytes; at most 262,144"),
        (output_that_is_not_json, r"The agent returned a value.*datetime at rows\[0\]\.at"),
        (exception, "agent_error: KeyError: 'customer'"),
        (sleep_without_a_time_zone, "until needs a time zone"),
    ],
)
def test_a_mistake_fails_the_run_with_the_way_out(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(AgentFailed, match=words):
        run(agent(function))


def invoke(function: Any, seconds: float, **fields: Any) -> Any:
    not_after = datetime.now(UTC) + timedelta(seconds=seconds)
    info = {"id": "run", "agent": "test", "input": {}}
    return function({"protocol": 1, "run": info, "not_after": not_after.isoformat(), **fields})


def test_no_step_starts_after_the_time_of_the_invocation(bank: Bank) -> None:
    @agent
    async def paying(ctx: Context, data: Input) -> Any:
        return await ctx.step("look_up", bank.look_up, 1, effect="none")

    late = invoke(paying, -1)
    assert (late["status"], late["more"], late["ops"]) == ("waiting", True, [])
    assert bank.looked_up == 0
    assert invoke(paying, 10, held=late["held"])["output"] == {"id": 1, "amount": 49}


def test_code_that_waits_for_something_else_is_stuck() -> None:
    @agent
    async def forgetful(ctx: Context, data: Input) -> None:
        await asyncio.Event().wait()

    error = invoke(forgetful, 0.05)["error"]
    assert error["code"] == "agent_stuck"
    assert "not an operation of ctx" in error["message"]


def test_a_token_of_another_process_replays(bank: Bank) -> None:
    @agent
    async def paying(ctx: Context, data: Input) -> Any:
        return await ctx.step("pay", bank.pay, 1)

    first = invoke(paying, 10)
    assert [(op["key"], op["op"], op["effect"]) for op in first["ops"]] == [
        ("step:pay#1", "step", "unsafe")
    ]
    assert bank.paid == []
    again = invoke(paying, 10, held="of another process", may_run=["step:pay#1"])
    assert (again["status"], again["output"]) == ("completed", "paid 1")
    assert bank.paid == [1]


def test_another_protocol_is_rejected() -> None:
    @agent
    async def any_agent(ctx: Context, data: Input) -> None:
        return None

    assert any_agent({"protocol": 2})["error"]["code"] == "protocol_mismatch"  # type: ignore[typeddict-item]


def test_the_keys_of_a_named_scope_do_not_depend_on_the_order_of_the_tasks() -> None:
    def keys(names: list[str]) -> set[str]:
        @agent
        async def code(ctx: Context, data: Input) -> None:
            async def branch(name: str) -> None:
                with ctx.scope(name):
                    await ctx.step("work", lambda: name, effect="none")

            await asyncio.gather(*(branch(name) for name in names))

        return {entry["key"] for entry in run(code).journal}

    assert keys(["a", "b"]) == keys(["b", "a"]) == {"a/step:work#1", "b/step:work#1"}
