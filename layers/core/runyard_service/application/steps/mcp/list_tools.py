"""List the tools of the agent's MCP servers, once for each run, before the model's first response.

The lists are events, so a recovered run and all later steps use the same tools. To list tools has
no effect: a worker that is lost leaves the servers that it did not record to the next worker.
"""

import asyncio
from collections.abc import Mapping
from typing import cast

from runyard_service.agents.mcp.base import LIST_SECONDS, ToolList
from runyard_service.agents.mcp.pinned_tools import (
    check_lists,
    missing_servers,
    nothing_listed,
    tools_listed,
)
from runyard_service.agents.tools.base import ToolError
from runyard_service.application.steps.retries import next_delay
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.errors import (
    ToolsInvalidError,
    ToolsRejectedError,
    ToolsUnavailableError,
)
from runyard_service.domain.event_payloads.tool_calls import ToolsListed
from runyard_service.domain.events import NewEvent


def has_missing_lists(ctx: RunContext) -> bool:
    """Return whether the run must list the tools of a server before its next response."""
    return bool(missing_servers(ctx.snapshot, ctx.history.tool_lists))


async def list_tools(ctx: RunContext) -> None:
    """Record the tools of each server that the run has not listed.

    Raise ToolsUnavailableError if a server that is not optional may answer later, and
    ToolsRejectedError if it will not. Raise ToolsInvalidError for tools that no model can be given.
    """
    names = missing_servers(ctx.snapshot, ctx.history.tool_lists)
    answers = await asyncio.gather(*(_list(ctx, name) for name in names))
    lists: list[ToolsListed] = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, ToolList):
            lists.append(tools_listed(ctx.snapshot, name, answer))
        elif ctx.snapshot.mcp_servers[name].optional:
            lists.append(nothing_listed(name, answer.message))
        else:
            raise _terminal_or_retryable(answer)
    check_lists(ctx.snapshot.definition, [*ctx.history.tool_lists.values(), *lists])
    payloads = cast(list[Mapping[str, object]], lists)
    await ctx.journal.append([NewEvent(type="agent.tools.listed", data=data) for data in payloads])


async def _list(ctx: RunContext, name: str) -> ToolList | ToolError:
    """Return the server's list, or the error of the last attempt."""
    # Imported here: it imports an HTTP client, which only a run with MCP tools needs.
    from runyard_service.agents.mcp import client

    attempt = 1
    while True:
        try:
            return await client.list_tools(name, ctx.snapshot.mcp_servers[name], ctx.mcp)
        except ToolError as error:
            delay = None
            if error.is_transient:
                delay = next_delay(ctx, attempt, LIST_SECONDS, error.retry_after)
            if delay is None:
                return error
        await asyncio.sleep(delay)
        attempt += 1


def _terminal_or_retryable(error: ToolError) -> Exception:
    if error.code == "tools_invalid":
        return ToolsInvalidError(error.message)
    may_answer_later = error.is_transient or not error.was_attempted
    return (ToolsUnavailableError if may_answer_later else ToolsRejectedError)(error.message)
