"""The tool calls of one reply: journaled before they are made, made in parallel, journaled again.

Each result is recorded as soon as it is there, so that a lost worker leaves as few calls in doubt
as can be; the conversation puts them back into the order of the calls.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runyard_service.agents.definitions.models import ExecutableTool
from runyard_service.agents.tools.base import ToolFailedError, ToolInvocation
from runyard_service.application.steps.genai_spans import tool_span
from runyard_service.application.steps.next_action import (
    Ask,
    Execute,
    Settle,
    Stop,
    next_action,
    tool_label,
)
from runyard_service.application.steps.retries import delay_before_next
from runyard_service.application.steps.run_context import Step
from runyard_service.domain.events import Draft
from runyard_service.domain.steps import Call

# A reply with more calls than this is answered with a failure for each one too many. Also keeps a
# pause with all its questions inside one transaction (100 items).
MAX_CALLS = 32


async def perform_calls(step: Step) -> list[Ask]:
    """Make the unfinished calls that need no person; gives what has to be asked about the others.

    Raises FinalError where a person decided that the run must not go on.
    """
    await _announce(step)
    actions = [
        (call, next_action(step.snapshot.definition, call, call.id in step.begun))
        for call in step.history.unfinished
    ]
    for _, action in actions:
        if isinstance(action, Stop):
            raise action.error
    settled = [
        _settled(step, call, action) for call, action in actions if isinstance(action, Settle)
    ]
    if settled:
        await step.append(settled)
    await _all(step, [(call, action) for call, action in actions if isinstance(action, Execute)])
    return [action for _, action in actions if isinstance(action, Ask)]


def settled_by_answers(step: Step, calls: Iterable[Call]) -> list[Draft]:
    """The results of those calls that the answers to their questions are, or refuse."""
    definition = step.snapshot.definition
    actions = [
        (call, next_action(definition, replace(call, phase="resumed"), begun_here=True))
        for call in calls
    ]
    return [_settled(step, call, action) for call, action in actions if isinstance(action, Settle)]


def begun_with(step: Step, reply: Mapping[str, Any]) -> list[Draft]:
    """What says that the calls of a new reply begin, to be put together with the reply.

    Nothing where they may not begin at once: the working time is over, or this worker's own soon
    is. Nor with an output schema, where a call may be the answer. A truncated reply has no calls.
    """
    definition, time_left = step.snapshot.definition, step.budget.left("wall_clock_seconds")
    calls = [
        Call(call["id"], call["name"], call["input"], reply["iteration"])
        for call in reply.get("tool_calls", ())
    ]
    if definition.output_schema is not None or not calls:
        return []
    if (time_left is not None and time_left <= 0) or not step.has_time_for(longest(step, calls)):
        return []
    return _announced(step, calls)


def longest(step: Step, calls: Iterable[Call]) -> float:
    """Seconds that the slowest of the calls may take."""
    tools = [step.snapshot.definition.tool(call.name) for call in calls]
    return max((tool.timeout for tool in tools if tool and tool.kind != "ask_human"), default=0)


async def _announce(step: Step) -> None:
    """Record that the calls of a new reply begin, before any of them does."""
    new = [call for call in step.history.unfinished if call.phase == "requested"]
    if new:
        await step.append(_announced(step, new))


def _announced(step: Step, calls: Sequence[Call]) -> list[Draft]:
    step.begun.update(call.id for call in calls)
    drafts = [Draft(type="agent.tool_call.started", data=_data(step, call)) for call in calls]
    too_many = [
        _settled(step, call, Settle("Too many calls in one reply.", "too_many_calls"))
        for call in calls[MAX_CALLS:]
    ]
    return [*drafts, *too_many]


async def _all(step: Step, calls: list[tuple[Call, Execute]]) -> None:
    async def make(call: Call, action: Execute) -> None:
        invocation = ToolInvocation(step.journal.run.id, call.id, action.input)
        with tool_span(step, action.tool, invocation) as span:
            try:
                result = await _called(step, action.tool, invocation)
                span.completed(result)
                draft = _completed(step, call, action.input, result)
            except ToolFailedError as error:
                span.failed(error.code)
                if action.tool.effect == "unsafe" and error.is_in_doubt:
                    # As if the worker had been lost with it: a person is asked, and not the model
                    # told.
                    step.begun.discard(call.id)
                    return
                draft = _failed(step, call, action.input, error.code, error.message)
        await step.append([draft])

    # Waits for all of them also when one cannot be recorded: a call under way is not torn off.
    outcomes = await asyncio.gather(*(make(*one) for one in calls), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _called(step: Step, tool: ExecutableTool, invocation: ToolInvocation) -> str:
    """Make the call, and again where it failed for now and may be repeated."""
    # Imported here: the tools bring an HTTP client, which only a worker that calls one needs.
    from runyard_service.agents.tools.dispatch import call_tool

    attempt = 1
    while True:
        try:
            return await call_tool(tool, invocation, step.worker.tools)
        except ToolFailedError as error:
            if tool.effect == "unsafe" or not error.may_pass:
                raise
            delay = delay_before_next(step, attempt, tool.timeout, error.retry_after)
            if delay is None:
                raise
            await asyncio.sleep(delay)
            attempt += 1


def _settled(step: Step, call: Call, action: Settle) -> Draft:
    if action.error_code is None:
        return _completed(step, call, call.input, action.content)
    return _failed(step, call, call.input, action.error_code, action.content)


def _completed(step: Step, call: Call, call_input: Mapping[str, Any], result: str) -> Draft:
    data = _data(step, call, call_input) | {"result": result}
    return Draft(type="agent.tool_call.completed", data=data)


def _failed(
    step: Step, call: Call, call_input: Mapping[str, Any], code: str, message: str
) -> Draft:
    data = _data(step, call, call_input) | {"error": {"code": code, "message": message}}
    return Draft(type="agent.tool_call.failed", data=data)


def _data(step: Step, call: Call, call_input: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "id": call.id,
        "object": "agent.tool_call",
        "input": call.input if call_input is None else call_input,
        "iteration": call.iteration,
        "tool": tool_label(step.snapshot.definition, call.name),
    }
