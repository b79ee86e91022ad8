"""The run and the journal in the request of one invocation."""

import asyncio
from typing import Any

from runyard_service.agents.code.protocol import MAX_JOURNAL_BYTES
from runyard_service.application.own_code.code_journal import CodeJournal
from runyard_service.application.steps.run_context import RunContext

# The function can read its journal later than at its start.
_MORE_SECONDS = 60


def run_info(ctx: RunContext) -> dict[str, Any]:
    """Return the `run` of a request: `{id, agent, input, user_id?, session_id?}`."""
    run = ctx.journal.run
    info: dict[str, Any] = {"id": run.id, "agent": ctx.definition.key, "input": run.input}
    optional = {"user_id": run.user_id, "session_id": run.session_id}
    return info | {name: value for name, value in optional.items() if value is not None}


async def journal_for(ctx: RunContext, journal: CodeJournal, seconds: float) -> list[Any] | str:
    """Return the entries. If they are too large for a request of Lambda, return their address.

    The address is valid for an invocation of `seconds`. The payload is deleted with the run.
    """
    if journal.size <= MAX_JOURNAL_BYTES:
        return list(journal.entries)
    payloads = ctx.deps.stores.payloads
    key = await asyncio.to_thread(payloads.save, ctx.journal.run.id, journal.entries)
    return payloads.download_url(key, seconds + _MORE_SECONDS)
