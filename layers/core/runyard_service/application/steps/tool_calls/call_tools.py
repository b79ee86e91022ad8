"""The tool calls of one message: record their start, make them concurrently, record their results.

Each result is recorded immediately, so a lost worker leaves as few calls in doubt as possible. The
conversation sorts the results into the order of the calls.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from runyard_service.agents.definitions.tools import ExecutableTool, PinnedMcpTool
from runyard_service.agents.mcp.base import ToolResult
from runyard_service.agents.tools.base import ToolError, ToolInvocation
from runyard_service.agents.tools.dispatch import call_tool
from runyard_service.application.steps.genai_spans import tool_span
from runyard_service.application.steps.mcp.make_call import (
    RequiredInput,
    make_mcp_call,
    record_required_input,
)
from runyard_service.application.steps.mcp.progress import ProgressWriter
from runyard_service.application.steps.mcp.returned_files import store_files
from runyard_service.application.steps.retries import FailedCall, next_delay, wait_for_retry
from runyard_service.application.steps.run_context import RunContext
from runyard_service.application.steps.tool_calls.actions import (
    Execute,
    FailRun,
    ResolveWithoutCall,
    input_requests_of,
)
from runyard_service.application.steps.tool_calls.call_events import (
    call_payload,
    completed_event,
    failed_event,
    resolution_event,
)
from runyard_service.application.steps.tool_calls.next_action import next_action
from runyard_service.application.steps.tool_calls.requested_input import RequestInput
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.events import NewEvent
from runyard_service.domain.steps import CallOrigin, ToolCallState

# Calls above this number fail. The number also ensures that a pause with all its input requests
# fits one transaction (100 items).
MAX_CALLS = 32


async def call_tools(ctx: RunContext) -> list[RequestInput]:
    """Make the unfinished calls that need no person. Return the input requests of the others.

    Raise TerminalError if a person decided to fail the run.
    """
    await _record_start(ctx)
    actions = [
        (call, next_action(ctx.definition, call, ctx.origin_of(call)))
        for call in ctx.history.unfinished
    ]
    for _, action in actions:
        if isinstance(action, FailRun):
            raise action.error
    resolved = [
        resolution_event(ctx, call, action)
        for call, action in actions
        if isinstance(action, ResolveWithoutCall)
    ]
    if resolved:
        await ctx.journal.append(resolved)
    await _call_all(
        ctx, [(call, action) for call, action in actions if isinstance(action, Execute)]
    )
    return _input_requests(ctx)


def _input_requests(ctx: RunContext) -> list[RequestInput]:
    """Return the input requests of the unfinished calls, with those that servers have just made."""
    actions = (
        next_action(ctx.definition, call, ctx.origin_of(call)) for call in ctx.history.unfinished
    )
    return [ask for action in actions for ask in input_requests_of(action)]


async def resume(ctx: RunContext) -> None:
    """Resume after answers: the calls that waited for an answer were not made yet."""
    answered: list[ToolCallState] = []

    def results() -> list[NewEvent]:
        answered[:] = [call for call in ctx.history.unfinished if call.phase == "answered"]
        return _results_from_answers(ctx, answered)

    await ctx.journal.resume(results)
    ctx.dispatched_here |= {call.id for call in answered}


def _results_from_answers(ctx: RunContext, calls: Iterable[ToolCallState]) -> list[NewEvent]:
    """Return the results of the calls that their answers resolve without a call."""
    definition = ctx.definition
    actions = [
        (call, next_action(definition, replace(call, phase="resumed"), CallOrigin.THIS_WORKER))
        for call in calls
    ]
    return [
        resolution_event(ctx, call, action)
        for call, action in actions
        if isinstance(action, ResolveWithoutCall)
    ]


def start_events_for(ctx: RunContext, message: MessageCompleted) -> list[NewEvent]:
    """Return the start events of the calls in a new message, to write together with it.

    Return none if the calls cannot start at once: a limit of the run is used up, or the time of
    this worker is too short. Return none with an output schema: a call can be the output. A
    truncated message has no calls.
    """
    definition, time_left = ctx.definition, ctx.budget.left("wall_clock_seconds")
    calls = [
        ToolCallState(call["id"], call["name"], call["input"], message["iteration"])
        for call in message.get("tool_calls", ())
    ]
    if definition.output_schema is not None or not calls:
        return []
    if time_left is not None and time_left <= 0:
        return []
    if not ctx.budget.allows_response_after(message):
        return []
    if not ctx.has_time_for(max_duration(ctx, calls)):
        return []
    return _start_events(ctx, calls)


def max_duration(ctx: RunContext, calls: Iterable[ToolCallState]) -> float:
    """Return the seconds that the slowest of the calls may take."""
    tools = [ctx.definition.tool(call.name) for call in calls]
    return max((tool.timeout for tool in tools if tool and tool.kind != "ask_human"), default=0)


async def _record_start(ctx: RunContext) -> None:
    """Record the start of the new calls, before the worker makes any of them."""
    new = [call for call in ctx.history.unfinished if call.phase == "requested"]
    if new:
        await ctx.journal.append(_start_events(ctx, new))


def _start_events(ctx: RunContext, calls: Sequence[ToolCallState]) -> list[NewEvent]:
    ctx.dispatched_here.update(call.id for call in calls)
    new_events = [
        NewEvent(type="agent.tool_call.started", data=call_payload(ctx, call)) for call in calls
    ]
    too_many = [
        resolution_event(
            ctx, call, ResolveWithoutCall("Too many calls in one response.", "too_many_calls")
        )
        for call in calls[MAX_CALLS:]
    ]
    return [*new_events, *too_many]


async def _call_all(ctx: RunContext, calls: list[tuple[ToolCallState, Execute]]) -> None:
    async def make(call: ToolCallState, action: Execute) -> None:
        run = ctx.journal.run
        invocation = ToolInvocation(
            run.project_id,
            run.id,
            call.id,
            action.input,
            max_result_bytes=ctx.snapshot.definition.tool_result_bytes,
        )
        with tool_span(ctx, action.tool, invocation) as span:
            try:
                result = await _call_with_retries(ctx, call, action.tool, invocation)
                if isinstance(result, RequiredInput):
                    await record_required_input(ctx, call, result)
                    return
                span.record_result(result.content)
                files = await store_files(ctx, result.files)
                new_event = completed_event(ctx, call, action.input, result.content, files)
            except ToolError as error:
                span.record_error(error.code)
                if action.tool.effect == "unsafe" and error.is_in_doubt:
                    # As after the crash of a worker: a person decides, the model gets no error.
                    ctx.dispatched_here.discard(call.id)
                    return
                new_event = failed_event(ctx, call, action.input, error.code, error.message)
        await ctx.journal.append([new_event])

    # Wait for all calls, also if a result cannot be recorded: do not cancel a call in flight.
    outcomes = await asyncio.gather(
        *(make(call, action) for call, action in calls), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _call_with_retries(
    ctx: RunContext, call: ToolCallState, tool: ExecutableTool, invocation: ToolInvocation
) -> ToolResult | RequiredInput:
    """Make the call. Retry a transient failure if the effect of the tool allows it."""
    attempt = 1
    while True:
        try:
            return await _attempt(ctx, call, tool, invocation)
        except ToolError as error:
            if tool.effect == "unsafe" or not error.is_transient:
                raise
            delay = next_delay(ctx, attempt, tool.timeout, error.retry_after)
            if delay is None:
                raise
            await wait_for_retry(ctx, FailedCall("tool", tool.name, error.code, call.id), delay)
            attempt += 1


async def _attempt(
    ctx: RunContext, call: ToolCallState, tool: ExecutableTool, invocation: ToolInvocation
) -> ToolResult | RequiredInput:
    if not isinstance(tool, PinnedMcpTool):
        return ToolResult(await call_tool(tool, invocation, ctx.deps.tools))
    progress = ProgressWriter(ctx, call.id)
    try:
        return await make_mcp_call(ctx, call, tool, invocation, progress)
    finally:
        await progress.close()
