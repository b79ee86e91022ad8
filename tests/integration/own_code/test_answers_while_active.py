"""Answers that arrive while own code works: none is lost, and none stops the worker."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runyard import Context
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps import budget
from runyard_service.domain import clock
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.runs import Run
from tests.integration.own_code.conftest import CodeRuns, MoveClock
from tests.integration.own_code.test_sleeping_runs import OneRunMachine

_DAY = 86_400


def decide(code_runs: CodeRuns, run: Run, *, is_approved: bool = True) -> None:
    """Answer the request to raise a limit."""
    requests = code_runs.stores.input_requests.open_of_run(run.id)
    [limit] = [request for request in requests if request.tool_call_id is None]
    answer = Answer(type=limit.type, request_id=limit.id, is_approved=is_approved)
    submit_input(code_runs.stores, code_runs.orchestrator, run.id, answer, "user-1")


def answer_during(
    code_runs: CodeRuns, step: str, and_then: Callable[[], object] = lambda: None
) -> None:
    """Answer the oldest open request during the invocation that runs the step."""
    original = code_runs.endpoint.code

    def answers_meanwhile(event: Any) -> Any:
        if f"step:{step}#1" in event["may_run"]:
            code_runs.answer(runs_of(event), feedback="first")
            and_then()
        return original(event)

    def runs_of(event: Any) -> Run:
        found = code_runs.stores.runs.get(event["run"]["id"])
        assert found is not None
        return found

    code_runs.endpoint.code = answers_meanwhile


def test_a_second_answer_before_the_worker_resumes_leaves_no_step_in_doubt(
    code_runs: CodeRuns, later: MoveClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asks_twice(ctx: Context, data: Any) -> Any:
        requests = [asyncio.create_task(ctx.ask(text)) for text in ("One?", "Two?")]
        await ctx.sleep(days=3)
        await ctx.step("remind", lambda: "sent")
        await ctx.step("record", lambda: "stored")
        return await asyncio.gather(*requests)

    run = code_runs.start(asks_twice)
    code_runs.pause(run)
    later(3 * _DAY + 60)
    handler = code_runs.endpoint.code
    answer_during(code_runs, "remind")
    resume = Journal.resume

    def answered_before(journal: Journal, *arguments: Any) -> None:
        if journal.history.status == "started" and len(journal.history.open_requests) == 1:
            code_runs.answer(run, feedback="second")
        resume(journal, *arguments)

    monkeypatch.setattr(Journal, "resume", answered_before)
    end = code_runs.finish(run)
    code_runs.endpoint.code = handler
    assert end.data["output"] == {"content": '["first", "second"]'}
    assert code_runs.types(run).count("agent.human_feedback.requested") == 2
    assert code_runs.types(run).count("run.resumed") == 2


async def remembers(ctx: Context, data: Any) -> Any:
    request = asyncio.create_task(ctx.ask("Why?"))
    await ctx.sleep(days=3)
    await ctx.step("remind", lambda: "sent")
    return await request


def test_a_limit_that_is_met_with_a_new_answer_is_asked_once(
    code_runs: CodeRuns, later: MoveClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = code_runs.start(remembers, limits={"wall_clock_seconds": 60, "on_limit": "ask"})
    code_runs.pause(run)
    later(3 * _DAY + 60)
    handler = code_runs.endpoint.code
    after = datetime.now(UTC) + timedelta(seconds=3 * _DAY + 600)
    answer_during(code_runs, "remind", lambda: monkeypatch.setattr(budget, "now", lambda: after))
    paused = code_runs.advance(run)
    assert paused.limit == "wall_clock_seconds"
    assert code_runs.ask(run, met=paused), "no execution follows until a person raises the limit"
    code_runs.endpoint.code = handler
    decide(code_runs, run)
    assert code_runs.types(run).count("approval_request.created") == 1
    monkeypatch.setattr(budget, "now", clock.now)
    assert code_runs.finish(run).data["output"] == {"content": "first"}


async def thinks_each_day(ctx: Context, data: Any) -> Any:
    async def think() -> None:
        for _ in range(3):
            await ctx.call_model("Hello.")
            await ctx.sleep(days=1)

    request = asyncio.create_task(ctx.ask("Why?", expires_in=30 * _DAY))
    thoughts = asyncio.create_task(think())
    await asyncio.wait({request, thoughts}, return_when=asyncio.FIRST_COMPLETED)
    thoughts.cancel()
    return await request


@pytest.fixture
def at_limit(code_runs: CodeRuns, later: MoveClock) -> Run:
    """Return a run that waits for a person to raise a limit, with another request open."""
    run = code_runs.start(
        thinks_each_day,
        [{"say": "Hello."}] * 3,
        limits={"steps": 1, "on_limit": "ask"},
    )
    code_runs.pause(run)
    later(_DAY + 60)
    paused = code_runs.advance(run)
    assert paused.limit == "steps"
    assert paused.wait_seconds == pytest.approx(29 * _DAY, abs=120), "the other request expires"
    assert code_runs.ask(run, f"token of {run.id}", met=paused)
    return run


def test_a_run_continues_with_a_raised_limit_while_another_request_is_open(
    code_runs: CodeRuns, at_limit: Run
) -> None:
    code_runs.orchestrator = machine = OneRunMachine(at_limit.id)
    decide(code_runs, at_limit)
    assert machine.resumed == [f"token of {at_limit.id}"]
    code_runs.pause(at_limit)
    assert code_runs.types(at_limit).count("agent.message.completed") == 2
    assert code_runs.record(at_limit).open_requests == 1
    code_runs.answer(at_limit, feedback="because")
    assert code_runs.finish(at_limit).data["output"] == {"content": "because"}


def test_the_sweep_resumes_a_run_with_a_raised_limit(code_runs: CodeRuns, at_limit: Run) -> None:
    decide(code_runs, at_limit)
    code_runs.orchestrator = machine = OneRunMachine(at_limit.id)
    sweep_runs(code_runs.stores, machine, everything=True)
    assert f"token of {at_limit.id}" in machine.resumed
    assert code_runs.events(at_limit)[-1].data["reason"] == "answer_not_resumed"
    machine.now = "missing"
    sweep_runs(code_runs.stores, machine, everything=True)
    assert [wait.seconds for wait in machine.started] == [60], "it does not wait"


def test_a_denied_limit_ends_the_run_while_another_request_is_open(
    code_runs: CodeRuns, at_limit: Run
) -> None:
    decide(code_runs, at_limit, is_approved=False)
    assert code_runs.finish(at_limit).data["error"]["code"] == "limit_exceeded"
    assert code_runs.stores.input_requests.open_of_run(at_limit.id) == []


def test_an_answer_does_not_resume_a_run_that_waits_for_a_limit(
    code_runs: CodeRuns, at_limit: Run
) -> None:
    code_runs.orchestrator = machine = OneRunMachine(at_limit.id)
    code_runs.answer(at_limit, feedback="because")
    assert machine.resumed == []
    decide(code_runs, at_limit)
    assert len(machine.resumed) == 1
    assert code_runs.finish(at_limit).data["output"] == {"content": "because"}
