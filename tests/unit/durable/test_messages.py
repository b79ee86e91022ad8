"""What an author of faulty code reads in `run.failed`."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runyard import Context, StepFailed, agent
from runyard.testing import AgentFailed, replay, run


async def step_in_a_step(ctx: Context, data: Any) -> None:
    async def outer() -> None:
        await ctx.call_model("Hello.")

    await ctx.step("outer", outer, effect="none")


async def no_json(ctx: Context, data: Any) -> None:
    await ctx.step("load", lambda: {"at": [datetime.now(UTC)]}, effect="none")


async def no_json_argument(ctx: Context, data: Any) -> None:
    await ctx.step("load", str, {1, 2}, effect="none")


async def exception(ctx: Context, data: Any) -> None:
    raise KeyError("customer")


async def waits_for_nothing(ctx: Context, data: Any) -> None:
    await asyncio.get_running_loop().create_future()


async def seven_mb(ctx: Context, data: Any) -> str:
    return "x" * 7 * 1024 * 1024


async def seven_mb_of_messages(ctx: Context, data: Any) -> None:
    await ctx.call_model("x" * 7 * 1024 * 1024)


async def retried_unsafe(ctx: Context, data: Any) -> None:
    await ctx.step("pay", lambda: 1, retry=3)


MESSAGES = {
    step_in_a_step: (
        "agent_error: StepFailed: "
        "outer: RuntimeError: The step 'outer' uses ctx. A step cannot contain an "
        "operation: return its value, and call ctx from the agent's function."
    ),
    no_json: (
        "agent_error: StepFailed: "
        "load: TypeError: The step 'load' returned a value that is not "
        "JSON: a value of type datetime at at[0]. Return texts, numbers, lists and objects with "
        "texts as keys."
    ),
    no_json_argument: (
        "agent_error: TypeError: "
        "An argument of the step 'load' is not JSON: a value of type set at "
        "[1][0][0]. Pass ident=… with a JSON value that identifies the call."
    ),
    exception: "agent_error: KeyError: 'customer'",
    seven_mb: (
        "agent_error: ValueError: "
        "The agent returned 7,340,034 bytes; at most 262,144 can be recorded. Store "
        "the value elsewhere, and return its address."
    ),
    seven_mb_of_messages: (
        "invalid_response: The response is larger than 5,242,880 bytes, which Lambda would reject. "
        "The largest part is model:model#1, with 7,340,223 bytes: pass less to it, or store the "
        "value elsewhere and pass its address."
    ),
    retried_unsafe: (
        "agent_error: ValueError: "
        "The step 'pay' is unsafe, so it is never repeated: set effect='idempotent' "
        "or effect='none', or remove retry."
    ),
}


@pytest.mark.parametrize("code", MESSAGES, ids=lambda code: code.__name__)
def test_the_message_says_what_is_wrong_and_the_way_out(code: Callable[..., Any]) -> None:
    with pytest.raises(AgentFailed) as failed:
        run(agent(code), model=["Hello."])
    assert str(failed.value) == MESSAGES[code]


def test_the_log_of_the_function_has_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    nothing: dict[str, int] = {}

    async def handles(ctx: Context, data: Any) -> str:
        try:
            await ctx.step("fails", lambda: nothing["missing"], effect="none")
        except StepFailed as error:
            return error.type
        return ""

    assert run(agent(handles)).output == "KeyError"
    with pytest.raises(AgentFailed):
        run(agent(exception))
    printed = capsys.readouterr().err
    assert printed.count("Traceback") == 2
    assert 'raise KeyError("customer")' in printed


def test_changed_code_is_named_by_key_and_digests() -> None:
    async def before(ctx: Context, data: Any) -> None:
        await ctx.step("load", str, 1, effect="none")

    async def after(ctx: Context, data: Any) -> None:
        await ctx.step("load", str, 2, effect="none")

    journal = run(agent(before)).journal
    with pytest.raises(
        AgentFailed, match=r"code_changed: The code asks for step:load#1 with other"
    ):
        replay(agent(after), journal)


def invoked_for(code: Callable[..., Any], seconds: float) -> Any:
    handler = agent(code)
    not_after = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    request: Any = {
        "protocol": 1,
        "run": {"id": "r", "agent": "a", "input": {}},
        "journal": [],
        "not_after": not_after,
    }
    response = handler(request)
    handler.release()
    return response["error"]


def test_code_that_waits_for_no_operation_is_stuck() -> None:
    error = invoked_for(waits_for_nothing, 0.1)
    assert error["code"] == "agent_stuck"
    assert error["message"].startswith("The agent waits for something that is not an operation of")


def test_a_step_that_takes_too_long_is_named() -> None:
    async def slow(ctx: Context, data: Any) -> None:
        await ctx.step("import", lambda: asyncio.sleep(60), effect="none")

    error = invoked_for(slow, 0.1)
    assert error["code"] == "agent_stuck"
    assert error["message"] == (
        "The step 'import' did not end within 0 s. Raise invocation_timeout and the timeout of the"
        " function, or do less in it."
    )
