"""One call of an MCP tool, until it has a result or the server asks what no person has answered.

The server stores no state: it sends a `requestState` with its input requests, and needs it back
with the answers. A state expires, often within minutes, and a person may answer after weeks. The
call then starts again, and the recorded answers apply to the same requests: no person answers
twice.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from runyard_service.agents.definitions.tools import PinnedMcpTool
from runyard_service.agents.mcp.base import InputRequired, Progress, ToolResult
from runyard_service.agents.mcp.elicitation import (
    MAX_ROUNDS,
    RecordedAnswers,
    input_responses,
    requests_issue,
    responses_for,
)
from runyard_service.agents.tools.base import ToolError, ToolInvocation
from runyard_service.agents.tools.dispatch import Answers, call_mcp_tool
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.event_payloads.tool_calls import ToolCallInputRequired
from runyard_service.domain.events import NewEvent
from runyard_service.domain.steps import ToolCallState

_INVALID_STATE = "invalid_request_state"
# All rounds, and all of them once more after the state has expired.
_MAX_EXCHANGES = 2 * MAX_ROUNDS + 1


@dataclass(frozen=True)
class RequiredInput:
    """What the server asks. `answered` has the ids of recorded answers, by the server's keys."""

    asked: InputRequired
    answered: Mapping[str, str] = field(default_factory=dict)


async def make_mcp_call(
    ctx: RunContext,
    call: ToolCallState,
    tool: PinnedMcpTool,
    invocation: ToolInvocation,
    on_progress: Callable[[Progress], None],
) -> ToolResult | RequiredInput:
    """Make the call, and return its result, or what the server asks and no person has answered.

    Raise ToolError as `call_mcp_tool`, and `mcp_error` for a request that no person can answer.
    """
    server, answers = ctx.snapshot.mcp_servers[tool.server], await _answers(ctx, call)
    recorded: RecordedAnswers | None = None
    for _ in range(_MAX_EXCHANGES):
        try:
            outcome = await call_mcp_tool(tool, invocation, server, ctx.mcp, answers, on_progress)
        except ToolError as error:
            if error.code != _INVALID_STATE or answers.request_state is None:
                raise
            recorded, answers = RecordedAnswers(call), Answers()
            continue
        if isinstance(outcome, ToolResult):
            return outcome
        if issue := requests_issue(outcome.requests):
            raise ToolError("mcp_error", issue)
        answered = recorded.take(outcome.requests) if recorded else {}
        if answered.keys() != outcome.requests.keys():
            if len(call.rounds) == MAX_ROUNDS:
                break
            return RequiredInput(outcome, answered)
        responses = responses_for(call, outcome.requests, answered)
        answers = Answers(responses, outcome.request_state)
    raise ToolError("mcp_error", f"The server asked for input more than {MAX_ROUNDS} times.")


async def record_required_input(
    ctx: RunContext, call: ToolCallState, required: RequiredInput
) -> None:
    """Record what the server asks. Its state is stored in the same transaction, not in the log."""
    data: ToolCallInputRequired = {
        "id": call.id,
        "round": len(call.rounds) + 1,
        "requests": required.asked.requests,
    }
    if required.answered:
        data["answered"] = required.answered
    state = required.asked.request_state
    change = ctx.deps.stores.input_requests.call_state_change(ctx.journal.run.id, call.id, state)
    await ctx.journal.append([NewEvent(type="agent.tool_call.input_required", data=data)], [change])


async def _answers(ctx: RunContext, call: ToolCallState) -> Answers:
    if not call.rounds:
        return Answers()
    read = ctx.deps.stores.input_requests.call_state
    return Answers(
        input_responses(call), await asyncio.to_thread(read, ctx.journal.run.id, call.id)
    )
