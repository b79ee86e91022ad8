"""Measure the processor time of agents in their own code: `make bench-own-code`.

    python -m benchmarks.own_code [--quick]

User and system time of one process, in which `runyard.testing` is the service. With `held`, the
process holds the paused code between invocations. Without it, each invocation replays the journal.
The agent of pydantic-ai needs its environment: `make .venv-agents/.installed`.
"""

import argparse
import asyncio
import importlib.util
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runyard import Context, agent
from runyard.durable.handler import Agent
from runyard.testing import run

_ROOT = Path(__file__).parent.parent
_AGENTS_PYTHON = _ROOT / ".venv-agents" / "bin" / "python"


def main() -> None:
    """Print each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few invocations: to see it work")
    parser.add_argument("--framework", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    figures = _framework if arguments.framework else _plain
    for name, seconds in figures(10 if arguments.quick else 100):
        print(f"{name}: {seconds:.2f} s", flush=True)
    if arguments.framework:
        return
    print(f"load {os.getloadavg()[0]:.1f}")
    if not _AGENTS_PYTHON.exists():
        print("pydantic-ai is not measured: make .venv-agents/.installed")
        return
    command = [str(_AGENTS_PYTHON), "-m", "benchmarks.own_code", "--framework", *sys.argv[1:]]
    subprocess.run(command, check=True, cwd=_ROOT)


def _plain(count: int) -> Iterator[tuple[str, float]]:
    turns = 2 * count
    yield f"{turns} turns without a journal", _cpu_of(lambda: asyncio.run(_without_journal(turns)))
    yield f"{turns} turns, held", _cpu_of(lambda: run(_turns(turns)))
    yield f"{turns} turns, replayed", _cpu_of(lambda: run(_cold(_turns(turns))))


def _framework(count: int) -> Iterator[tuple[str, float]]:
    if importlib.util.find_spec("pydantic_ai") is None:
        raise SystemExit("pydantic-ai is missing: make .venv-agents/.installed")
    yield f"pydantic-ai, {count} unsafe tools, without Runyard", _cpu_of(_alone(count))
    handler = _pydantic_ai(count)
    yield f"pydantic-ai, {count} unsafe tools, held", _cpu_of(lambda: run(handler))
    yield f"pydantic-ai, {count} unsafe tools, replayed", _cpu_of(lambda: run(_cold(handler)))


def _cpu_of(function: Callable[[], Any]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _work(number: int) -> dict[str, Any]:
    """Do what a turn of an agent does at least: build and read a request and a response."""
    request = {"messages": [{"role": "user", "content": "x" * 2000}] * 20, "number": number}
    for _ in range(10):
        request = json.loads(json.dumps(request))
    return {"text": f"response {number}"}


async def _without_journal(turns: int) -> int:
    for number in range(turns):
        await asyncio.get_running_loop().run_in_executor(None, _work, number)
    return turns


def _turns(turns: int) -> Agent:
    async def takes_turns(ctx: Context, _data: Any) -> int:
        for number in range(turns):
            await ctx.step("turn", _work, number)
        return turns

    return agent(takes_turns)


class _Cold:
    """An agent whose process holds no state between invocations."""

    def __init__(self, handler: Agent) -> None:
        self._handler = handler

    def __call__(self, event: Any, context: Any = None) -> Any:
        event.pop("held", None)
        self._handler.release()
        return self._handler(event, context)

    def release(self) -> None:
        self._handler.release()


def _cold(handler: Agent) -> Any:
    return _Cold(handler)


def _agent_of_pydantic_ai(count: int) -> Any:
    from pydantic_ai import Agent as PydanticAgent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    def respond(messages: Any, _info: Any) -> Any:
        made = sum(isinstance(message, ModelResponse) for message in messages)
        if made < count:
            call = ToolCallPart("pay", {"order": made}, tool_call_id=f"call-{made}")
            return ModelResponse(parts=[call])
        return ModelResponse(parts=[TextPart("done")])

    pays: Any = PydanticAgent(FunctionModel(respond))
    pays.tool_plain(_pay)
    return pays


def _pay(order: int) -> str:
    return f"paid {order}"


_pay.__name__ = "pay"


def _alone(count: int) -> Callable[[], Any]:
    from pydantic_ai.usage import UsageLimits

    pays = _agent_of_pydantic_ai(count)
    return lambda: pays.run_sync("go", usage_limits=UsageLimits(request_limit=None))


def _pydantic_ai(count: int) -> Any:
    from runyard.pydantic_ai import serve

    return serve(_agent_of_pydantic_ai(count))


if __name__ == "__main__":
    main()
