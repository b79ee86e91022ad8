"""The request for the next response of a run, as its conversation now is."""

from runyard_service.agents.conversation import request_for
from runyard_service.agents.models.base import ModelRequest
from runyard_service.application.steps.mcp.returned_files import attach_returned_files
from runyard_service.application.steps.run_context import RunContext


async def next_request(ctx: RunContext) -> ModelRequest:
    """Return the request for the next response; read messages and files on first use.

    Every caller gets the same request: the cache of the run's messages retains their files.
    """
    return request_for(
        ctx.definition,
        ctx.journal.run,
        ctx.history,
        message_history=ctx.message_cache,
        messages=await ctx.messages(),
        attachments=await ctx.attachments(),
        returned_files=await attach_returned_files(ctx),
        route=ctx.snapshot.route_id,
    )
