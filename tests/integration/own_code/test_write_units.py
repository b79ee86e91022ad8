"""The DynamoDB write units of the operations of an agent's own code, counted by the emulator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runyard import Context
from runyard_service.adapters.stores import Stores
from tests.integration.own_code.conftest import LOOK, CodeRuns
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent

_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
Code = Callable[[Context, Any], Any]


class WriteUnits:
    """The units of the writes since the start."""

    def __init__(self) -> None:
        self.used = 0.0

    def ask(self, params: dict[str, Any], **_: Any) -> None:
        """Ask DynamoDB for the units of the call."""
        params["ReturnConsumedCapacity"] = "TOTAL"

    def add(self, parsed: Any, model: Any, **_: Any) -> None:
        """Add the units of the response, if the call has written."""
        if model.name in _WRITES:
            found = parsed.get("ConsumedCapacity", [])
            for capacity in found if isinstance(found, list) else [found]:
                self.used += capacity["CapacityUnits"]


@contextmanager
def counted(stores: Stores) -> Iterator[WriteUnits]:
    units, events = WriteUnits(), stores.log._table.client.meta.events
    hooks: dict[str, Callable[..., None]]
    hooks = {"before-parameter-build.dynamodb": units.ask, "after-call.dynamodb": units.add}
    for name, hook in hooks.items():
        events.register(name, hook)
    try:
        yield units
    finally:
        for name, hook in hooks.items():
            events.unregister(name, hook)


def cost(runs: CodeRuns, code: Code, **response: Any) -> float:
    """Return the units of a run of this code. `response` answers its input requests."""
    run = runs.start(code, turns=[{"say": "Hello."}] * 3)
    with counted(runs.stores) as units:
        while runs.advance(run).outcome == "needs_input":
            assert runs.ask(run)
            if response:
                runs.answer(run, **response)
    return units.used


def repeated(operation: Code, count: int) -> Code:
    async def code(ctx: Context, data: Any) -> str:
        for _ in range(count):
            await operation(ctx, data)
        return "done"

    return code


async def _call_model(ctx: Context, data: Any) -> None:
    await ctx.call_model("Hello.")


async def _call_tool(ctx: Context, data: Any) -> None:
    await ctx.call_tool("look", q="a")


async def _step(ctx: Context, data: Any) -> None:
    await ctx.step("count", lambda: 1, effect="none")


async def _unsafe_step(ctx: Context, data: Any) -> None:
    await ctx.step("pay", lambda: 1)


async def _ask(ctx: Context, data: Any) -> None:
    await ctx.ask("Why?")


async def _approve(ctx: Context, data: Any) -> None:
    await ctx.approve("Pay?", {"amount": 1})


async def _emit(ctx: Context, data: Any) -> None:
    ctx.emit("found", 1)


async def _sleep(ctx: Context, data: Any) -> None:
    # The time is over when the worker reads it; a longer sleep also writes a pause.
    await ctx.sleep(until=datetime.now(UTC) - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("operation", "units", "response"),
    [
        (_call_model, 2, {}),
        (_call_tool, 2, {}),
        (_step, 0, {}),
        (_emit, 0, {}),
        (_unsafe_step, 1, {}),
        (_sleep, 2, {}),
        (_ask, 31, {"feedback": "late"}),
        (_approve, 31, {"is_approved": True}),
    ],
)
def test_the_units_of_an_operation(
    code_runs: CodeRuns, operation: Code, units: float, response: Any
) -> None:
    once = cost(code_runs, repeated(operation, 1), **response)
    twice = cost(code_runs, repeated(operation, 2), **response)
    assert twice - once == units


def test_the_pause_of_a_sleep(code_runs: CodeRuns) -> None:
    async def sleeper(ctx: Context, data: Any) -> None:
        await ctx.sleep(hours=1)

    run = code_runs.start(sleeper)
    assert code_runs.advance(run).outcome == "needs_input"
    with counted(code_runs.stores) as units:
        assert code_runs.ask(run)
    assert units.used == 10


def test_a_model_call_costs_what_it_costs_in_a_dialogue_and_a_tool_call_one_write_more(
    code_runs: CodeRuns,
) -> None:
    async def both(ctx: Context, data: Any) -> None:
        await _call_model(ctx, data)
        await _call_tool(ctx, data)

    def dialogue(count: int) -> float:
        turn = {"say": "Hello.", "call": [{"tool": "look", "input": {"q": "a"}}]}
        agent = scripted_agent([turn] * count + [{"say": "done"}], [LOOK])
        run = create_run(code_runs.stores, agent)
        with counted(code_runs.stores) as units:
            code_runs.finish(run)
        return units.used

    code = cost(code_runs, repeated(both, 2)) - cost(code_runs, repeated(both, 1))
    assert code == dialogue(2) - dialogue(1) + 1
