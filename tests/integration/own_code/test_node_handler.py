"""A handler in another language speaks the protocol: the example in JavaScript."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runyard.testing import AgentFailed, crash_everywhere, replay, run

_FOLDER = Path(__file__).parents[3] / "examples" / "own_code" / "node"
_LOOP = """
import { createInterface } from "node:readline";
import { handler } from "./handler.mjs";
for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await handler(JSON.parse(line))));
"""


class NodeAgent:
    """The handler in a Node.js process: one line in, one line out."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [shutil.which("node") or "node", "--input-type=module", "--eval", _LOOP],
            cwd=_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, event: Any, context: Any = None) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(event), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def release(self) -> None:
        """Hold no state."""

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def node() -> Iterator[Any]:
    agent = NodeAgent()
    yield agent
    agent.close()


def test_a_run_completes(node: Any) -> None:
    result = run(node, {"order": 7}, model=["short"], answers=["broken"])
    assert result.output == {"summary": "short", "reason": "broken", "receipt": "refunded 7"}
    assert replay(node, result.journal, {"order": 7}) == result.output


def test_a_crash_at_each_point_changes_no_output(node: Any) -> None:
    report = crash_everywhere(
        node, {"order": 7}, model=lambda: ["short"] * 3, answers=lambda: ["broken"]
    )
    assert (report.runs, report.in_doubt) == (12, 1)


def test_changed_arguments_fail_the_run(node: Any) -> None:
    journal = run(node, {"order": 7}, model=["short"], answers=["broken"]).journal
    with pytest.raises(AgentFailed) as failed:
        replay(node, journal, {"order": 8})
    assert failed.value.code == "code_changed"


def test_the_protocol_needs_at_most_60_lines() -> None:
    lines = (_FOLDER / "handler.mjs").read_text().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100
