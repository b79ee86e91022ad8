"""The own code of the crash tests, in a function on the server of all tools."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from runyard import Context, StepFailed, agent
from runyard_service.domain.ids import derived_id
from tests.support.servers.loopback import Exchange, Received

FUNCTION = "runyard-agent-crashes"
SLEEP_SECONDS = 0.3
_FUNCTIONS = f"/2015-03-31/functions/{FUNCTION}/"


class OwnAgent:
    """Lambda with the function of an agent, whose unsafe step calls `charge` with its id."""

    def __init__(self, charge: Callable[[str], None]) -> None:
        @agent
        async def handler(ctx: Context, data: Any) -> str:
            """Use each kind of operation, or only those of a case."""
            if data["case"] == "reminder":
                return await _remind(ctx, charge)
            if data["case"] == "version":
                return str(await ctx.ask("Continue?"))
            await ctx.step("load", lambda: {"amount": 1}, effect="none")
            ctx.emit("loaded", {"amount": 1})
            await ctx.call_model("Anything to do?")
            await ctx.call_tool("note", text="seen")
            id_ = derived_id(ctx.run["id"], "step:charge#1")
            try:
                await ctx.step("charge", lambda: charge(id_))
            except StepFailed as error:
                # A person has seen that the card is charged.
                if error.code != "skipped":
                    raise
            await ctx.ask("Why?")
            await ctx.approve("Send it?", {"amount": 1})
            await ctx.sleep(SLEEP_SECONDS)
            return "done"

        self._handler = handler

    def release(self) -> None:
        """Forget the paused code of runs that have ended."""
        self._handler.release()

    def accepts(self, request: Received) -> bool:
        """Return whether the request is for the agent's function."""
        return request.path.startswith(_FUNCTIONS)

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Return the version of the function, or invoke it."""
        if request.method == "GET":
            number = re.search(r"Qualifier=(\d+)", request.path)
            version = number[1] if number else "1"  # The alias names version 1.
            exchange.send_json(200, {"Version": version, "CodeSha256": f"sha256-{version}"})
        else:
            response = self._handler(request.json, None)
            exchange.send_json(200, json.loads(json.dumps(response)))


async def _remind(ctx: Context, charge: Callable[[str], None]) -> str:
    """Ask a person, sleep twice in the meantime, and then run an unsafe step."""
    request = asyncio.create_task(ctx.ask("Why?"))
    await ctx.sleep(SLEEP_SECONDS)
    await ctx.sleep(SLEEP_SECONDS)
    id_ = derived_id(ctx.run["id"], "step:charge#1")
    try:
        await ctx.step("charge", lambda: charge(id_))
    except StepFailed as error:
        if error.code != "skipped":
            raise
    return str(await request)
