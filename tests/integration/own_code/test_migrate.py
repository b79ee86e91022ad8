"""A waiting run moves to another version of its code, if that code fits its log."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from runyard import Context, agent
from runyard_service.application.own_code.migrate_run import migrate_run
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.domain.request_errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
)
from runyard_service.domain.runs import Run
from tests.integration.own_code.conftest import CodeRuns
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent

PAID: list[str] = []


async def before(ctx: Context, data: Any) -> str:
    await ctx.call_tool("look", q="a")
    await ctx.ask("Continue?")
    return "before"


async def after(ctx: Context, data: Any) -> str:
    await ctx.call_tool("look", q="a")
    await ctx.step("log", lambda: PAID.append("log"), effect="none")
    await asyncio.gather(ctx.ask("Continue?"), ctx.step("pay", lambda: PAID.append("pay")))
    return "after"


async def other_arguments(ctx: Context, data: Any) -> None:
    await ctx.call_tool("look", q="b")


async def another_prompt(ctx: Context, data: Any) -> None:
    await ctx.call_tool("look", q="a")
    await ctx.ask("Really?")


async def no_request(ctx: Context, data: Any) -> None:
    await ctx.call_tool("look", q="a")


async def broken(ctx: Context, data: Any) -> None:
    raise KeyError("customer")


@pytest.fixture
def waiting(code_runs: CodeRuns) -> Run:
    """Return a run of version 7 that waits for an answer, with version 8 deployed."""
    PAID.clear()
    run = code_runs.start(before)
    code_runs.pause(run)
    code_runs.endpoint.code.release()
    code_runs.endpoint.version, code_runs.endpoint.sha256 = "8", "second"
    return run


def migrate(code_runs: CodeRuns, run: Run, code: Callable[..., Any] = after) -> None:
    code_runs.endpoint.code = agent(code)
    version = migrate_run(code_runs.stores, run.id, "8", "runyard-agent-", "key-1")
    assert (version.version, version.sha256) == ("8", "second")


async def same_start(ctx: Context, data: Any) -> str:
    await ctx.call_tool("look", q="a")
    await ctx.ask("Continue?")
    await ctx.step("pay", lambda: PAID.append("pay"))
    return "after"


def test_a_fitting_version_continues_the_run(code_runs: CodeRuns, waiting: Run) -> None:
    migrate(code_runs, waiting, same_start)
    migrate(code_runs, waiting, same_start)  # The same request again changes nothing.
    in_use = code_runs.stores.code_versions.in_use()
    versions = {each.version: each for each in in_use if each.oldest_run == waiting.id}
    assert versions.keys() == {"8"}
    changes = [each for each in code_runs.events(waiting) if each.type == "run.code_changed"]
    assert [each.data["code"]["version"] for each in changes] == ["8"]
    assert changes[0].data["previous"]["version"] == "7"
    assert code_runs.record(waiting).status == "paused"
    code_runs.answer(waiting, feedback="yes")
    assert code_runs.finish(waiting).data["output"] == {"content": "after"}
    assert PAID == ["pay"]
    paths = [each.path for each in code_runs.endpoint.received if each.method == "POST"]
    assert paths[-1].endswith("/runyard-agent-test/invocations?Qualifier=8")


def test_no_step_runs_during_a_replay_not_even_one_without_effect(
    code_runs: CodeRuns, waiting: Run
) -> None:
    with pytest.raises(ConflictError, match=r"does not ask for ask:ask#1, which is open"):
        migrate(code_runs, waiting, after)
    assert PAID == []
    [request] = [each for each in code_runs.endpoint.invocations if each.get("is_replay")]
    assert request["may_run"] == []
    assert not code_runs.endpoint.code._held, "a replay leaves no state"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (other_arguments, r"version: 8 does not fit .*tool:look#1 with other arguments.*digest "),
        (another_prompt, r"asks for ask:ask#1 with other arguments.*digest [0-9a-f]{12}, recor"),
        (no_request, r"does not ask for ask:ask#1, which is open"),
        (broken, r"KeyError: 'customer'"),
    ],
)
def test_a_version_that_does_not_fit_is_a_conflict(
    code_runs: CodeRuns, waiting: Run, code: Callable[..., Any], words: str
) -> None:
    last = code_runs.events(waiting)[-1]
    with pytest.raises(ConflictError, match=words):
        migrate(code_runs, waiting, code)
    assert code_runs.events(waiting)[-1] == last


def test_a_version_must_exist_and_must_not_change(code_runs: CodeRuns, waiting: Run) -> None:
    code_runs.endpoint.version = "$LATEST"
    with pytest.raises(InvalidRequestError, match="publish a version"):
        migrate(code_runs, waiting)
    code_runs.endpoint.version = ""
    with pytest.raises(InvalidRequestError, match="no function runyard-agent-test with the vers"):
        migrate(code_runs, waiting)


def test_only_a_waiting_run_with_own_code_can_migrate(code_runs: CodeRuns, waiting: Run) -> None:
    with pytest.raises(NotFoundError):
        migrate_run(code_runs.stores, "0" * 32, "8", "", "key-1")
    dialogue = create_run(code_runs.stores, scripted_agent([{"say": "Hello."}]))
    with pytest.raises(ConflictError, match="not of kind code"):
        migrate_run(code_runs.stores, dialogue.id, "8", "", "key-1")
    new = code_runs.start(before)
    with pytest.raises(ConflictError, match="is active; it can migrate while it waits"):
        migrate_run(code_runs.stores, new.id, "8", "", "key-1")
    cancel_run(code_runs.stores, code_runs.orchestrator, waiting.id, "user-1")
    with pytest.raises(ConflictError, match="has ended: canceled; start a new run"):
        migrate(code_runs, waiting)


def test_an_answer_during_the_replay_is_seen(code_runs: CodeRuns, waiting: Run) -> None:
    """The code is replayed again, with the answer: it may not fit any more."""
    answered = threading.Event()
    code = agent(same_start)

    def answers_meanwhile(event: Any) -> Any:
        if not answered.is_set():
            answered.set()
            code_runs.answer(waiting, feedback="yes")
        return code(event)

    code_runs.endpoint.code = answers_meanwhile
    migrate_run(code_runs.stores, waiting.id, "8", "", "key-1")
    types = code_runs.types(waiting)
    assert types[-2:] == ["agent.human_feedback.received", "run.code_changed"]
    assert code_runs.finish(waiting).data["output"] == {"content": "after"}


async def stops_reminding(ctx: Context, data: Any) -> str:
    request = asyncio.create_task(ctx.ask("Continue?"))
    reminder = asyncio.create_task(ctx.sleep(days=3))
    await asyncio.wait({request, reminder}, return_when=asyncio.FIRST_COMPLETED)
    reminder.cancel()
    await ctx.ask("Really?")
    return "done"


def test_a_sleep_that_the_code_has_canceled_prevents_no_migration(code_runs: CodeRuns) -> None:
    run = code_runs.start(stops_reminding)
    code_runs.pause(run)
    code_runs.answer(run, feedback="yes")
    code_runs.pause(run)
    code_runs.endpoint.code.release()
    code_runs.endpoint.version, code_runs.endpoint.sha256 = "8", "second"
    migrate(code_runs, run, stops_reminding)
    code_runs.answer(run, feedback="yes")
    assert code_runs.finish(run).data["output"] == {"content": "done"}
