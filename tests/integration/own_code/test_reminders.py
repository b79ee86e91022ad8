"""A sleep ends while an input request is open: the code can remind people of it."""

import asyncio
from typing import Any

import pytest

from runyard import Context
from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.domain.runs import Run
from tests.integration.own_code.conftest import CodeRuns, MoveClock
from tests.integration.own_code.test_sleeping_runs import OneRunMachine

_DAY = 86_400


async def reminds(ctx: Context, data: Any) -> Any:
    async def remind() -> None:
        while True:
            await ctx.sleep(days=3)
            await ctx.step("remind", lambda: "sent")

    request = asyncio.create_task(ctx.ask("Why?", expires_in=30 * _DAY))
    reminder = asyncio.create_task(remind())
    await asyncio.wait({request, reminder}, return_when=asyncio.FIRST_COMPLETED)
    reminder.cancel()
    return await request


def steps(code_runs: CodeRuns, run: Run) -> int:
    return code_runs.types(run).count("agent.step.completed")


def test_the_code_reminds_until_a_person_answers(code_runs: CodeRuns, later: MoveClock) -> None:
    run = code_runs.start(reminds)
    code_runs.pause(run)
    for days in (3, 6):
        later(days * _DAY - 60)
        early = code_runs.advance(run)  # Too early: it waits again, and writes nothing.
        assert early.outcome == "needs_input"
        assert 0 < early.wait_seconds < 200
        later(days * _DAY + 120)
        code_runs.pause(run)
        assert steps(code_runs, run) == days / 3
        assert code_runs.types(run)[-2:] == ["agent.tool_call.started", "run.paused"]
        record = code_runs.record(run)
        assert (record.status, record.open_requests) == ("paused", 1)
    assert code_runs.types(run).count("agent.human_feedback.requested") == 1
    code_runs.answer(run, feedback="broken")
    assert code_runs.finish(run).data["output"] == {"content": "broken"}
    assert steps(code_runs, run) == 2


def test_the_wait_is_the_shorter_of_sleep_and_expiry(code_runs: CodeRuns, later: MoveClock) -> None:
    run = code_runs.start(reminds)
    paused = code_runs.advance(run)
    assert paused.wait_seconds == pytest.approx(3 * _DAY, abs=20)
    assert code_runs.ask(run, met=paused)
    code_runs.orchestrator = machine = OneRunMachine(run.id)
    later(3 * _DAY + 1000)
    sweep_runs(code_runs.stores, machine, everything=True)
    assert code_runs.events(run)[-1].data["reason"] == "wait_overdue"
    again = code_runs.advance(run)
    assert steps(code_runs, run) == 1
    later(29 * _DAY)
    assert code_runs.ask(run, met=again) is False, "the next sleep is over already"


def test_a_request_that_expires_ends_the_run_at_its_time(
    code_runs: CodeRuns, later: MoveClock
) -> None:
    async def sleeps_longer(ctx: Context, data: Any) -> Any:
        return await asyncio.gather(ctx.ask("Why?", expires_in=60), ctx.sleep(hours=1))

    run = code_runs.start(sleeps_longer)
    paused = code_runs.advance(run)
    assert paused.wait_seconds == pytest.approx(61, abs=20)
    assert code_runs.ask(run, met=paused)
    later(90)
    assert code_runs.finish(run).data["error"]["code"] == "input_expired"


def test_an_answer_during_an_invocation_is_no_conflict(
    code_runs: CodeRuns, later: MoveClock
) -> None:
    run = code_runs.start(reminds)
    code_runs.pause(run)
    later(3 * _DAY + 60)
    original = code_runs.endpoint.code

    def answers_meanwhile(event: Any) -> Any:
        if event["may_run"]:
            code_runs.answer(run, feedback="broken")
        return original(event)

    code_runs.endpoint.code = answers_meanwhile
    assert code_runs.finish(run).data["output"] == {"content": "broken"}
    code_runs.endpoint.code = original
    assert steps(code_runs, run) == 1
    assert "run.recovered" not in code_runs.types(run)
    assert code_runs.types(run).count("run.resumed") == 2


def test_an_answer_before_the_pause_is_not_lost(code_runs: CodeRuns, later: MoveClock) -> None:
    run = code_runs.start(reminds)
    code_runs.pause(run)
    later(3 * _DAY + 60)
    waiting = code_runs.advance(run)
    code_runs.answer(run, feedback="broken")
    assert code_runs.ask(run, met=waiting) is False
    assert code_runs.finish(run).data["output"] == {"content": "broken"}


def test_an_answer_during_a_sleep_ends_the_wait(code_runs: CodeRuns, later: MoveClock) -> None:
    async def both(ctx: Context, data: Any) -> Any:
        answer, _ = await asyncio.gather(ctx.ask("Why?"), ctx.sleep(hours=1))
        return answer

    run = code_runs.start(both)
    code_runs.pause(run)
    code_runs.orchestrator = machine = OneRunMachine(run.id)
    machine.now = "missing"  # The execution is lost, and the answer finds none.
    code_runs.answer(run, feedback="broken")
    sweep_runs(code_runs.stores, machine, everything=True)
    [wait] = machine.started
    assert wait.last_sequence == 0
    assert wait.seconds == 60, "the next worker does not wait for the sleep"


def test_a_lost_execution_that_worked_with_an_open_request_is_replaced_at_once(
    code_runs: CodeRuns, later: MoveClock
) -> None:
    run = code_runs.start(reminds)
    code_runs.pause(run)
    later(3 * _DAY + 60)
    code_runs.advance(run)  # The worker is lost before it pauses the run again.
    assert code_runs.record(run).status == "started"
    code_runs.orchestrator = machine = OneRunMachine(run.id)
    machine.now = "missing"
    sweep_runs(code_runs.stores, machine, everything=True)
    [wait] = machine.started
    assert wait.seconds == 60
    code_runs.pause(run)
    assert code_runs.record(run).open_requests == 1
