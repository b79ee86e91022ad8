"""`runyard lint` finds what can differ in a replay."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from runyard.cli.main import runyard
from runyard.lint import lint_source

_AGENT = """
import asyncio, random, time
import datetime as dt
from datetime import datetime
from uuid import uuid4
import httpx
from runyard import agent

def pay(amount):
    time.sleep(1)
    return httpx.post("https://bank.example", json=amount).json()

def helper():
    return random.random()

@agent
async def claims(ctx, data):
    {line}

def not_an_agent():
    return time.time()
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("time.time()", "time.time() can differ in a replay: use ctx.now()"),
        ("datetime.now()", "datetime.datetime.now() can differ in a replay: use ctx.now()"),
        ("dt.datetime.now()", "datetime.datetime.now() can differ"),
        ("uuid4()", "uuid.uuid4() can differ in a replay: use ctx.uuid()"),
        ("await asyncio.sleep(3)", "asyncio.sleep() can differ in a replay: use ctx.sleep"),
        ("httpx.get('https://a.example')", "httpx.get() can differ in a replay: call it in"),
        ("helper()", "random.random() can differ in a replay: use ctx.random()"),
        ("pay(1)", "httpx.post() can differ"),
        ("[open(name) for name in data]", "open() can differ"),
    ],
)
def test_a_call_outside_of_a_step_is_found(line: str, words: str) -> None:
    assert words in "\n".join(map(str, lint_source(_AGENT.format(line=line))))


@pytest.mark.parametrize(
    "line",
    [
        "await ctx.step('pay', pay, 1)",
        "ctx.sync.step('pay', pay, 1)",
        "await ctx.step('now', lambda: time.time(), effect='none')",
        "ctx.uuid(), await ctx.now(), ctx.random()",
        "await ctx.sleep(3)",
    ],
)
def test_steps_and_operations_are_not_found(line: str) -> None:
    assert lint_source(_AGENT.format(line=line)) == []


def test_an_operation_in_a_step_is_found() -> None:
    source = _AGENT.format(line="await ctx.step('inner', inner)").replace(
        "    await ctx.step(",
        "    async def inner():\n        await ctx.ask('?')\n    await ctx.step(",
    )
    [finding] = lint_source(source)
    assert finding.message == "the step inner() uses ctx: a step has no operations"


def test_the_command_prints_findings_and_fails(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(_AGENT.format(line="time.time()"))
    result = CliRunner().invoke(runyard, ["lint", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith(f"{tmp_path}/bad.py:18: time.time()")
    (tmp_path / "bad.py").write_text(_AGENT.format(line="pass"))
    assert CliRunner().invoke(runyard, ["lint", str(tmp_path)]).exit_code == 0
