"""Measure cold starts of the built functions on an emulator of the runtime: `make bench-coldstart`.

The first invocation imports the handler, connects and responds. A caller waits for it, and also
for Lambda's environment. Each figure is the median of ten starts. The second invocation shows how
much of the time is the work itself. The streaming endpoint is started by its `run.sh` and measured
in its own test.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.built_functions import Invocation, functions, lacking, started, variables_of
from runyard_dev.dev_stack import REPOSITORY, DevStack
from runyard_service.adapters.s3.agent_bundle import BUNDLE_KEY, AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.agents.definitions.source import AgentDirectory

STARTS = 10
# What is sent to each function; a run that does not exist is looked for all the same.
PAYLOADS = {
    "api": "api/get_unknown_run",
    "run_step": "run_step/advance",
    "request_input": "request_input/wait",
    "close_run": "close_run/caught",
    "sweep": "sweep/scheduled",
}
TARGETS_MS = {"api": 700, "request_input": 600, "close_run": 600}


def measure(starts: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of the first invocation and of the second, by function."""
    with (
        tempfile.TemporaryDirectory() as folder,
        DevStack.start(data_dir=Path(folder), web=False, sweep_seconds=None) as stack,
    ):
        bundle = AgentBundle(
            Bucket(stack.environment["BUCKET"], lambda: stack.client("s3")), BUNDLE_KEY
        )
        bundle.write(AgentDirectory(REPOSITORY / "agents").read())
        return {name: _medians(name, stack.environment, starts) for name in PAYLOADS}


def _medians(name: str, stack: Mapping[str, str], starts: int) -> tuple[float, float]:
    function = functions()[name]
    event = json.loads(Path("events", f"{PAYLOADS[name]}.json").read_text(encoding="utf-8"))
    first: list[Invocation] = []
    second: list[Invocation] = []
    for _ in range(starts):
        with started(function, variables_of(function, stack)) as running:
            first.append(running.invoke(event))
            second.append(running.invoke(event))
    _check(name, [*first, *second])
    return _milliseconds(first), _milliseconds(second)


def _check(name: str, found: list[Invocation]) -> None:
    """What was measured is an answer of the function, and not a failure to start."""
    for each in found:
        payload: Any = each.payload
        error = payload.get("errorType", "") if isinstance(payload, dict) else ""
        if error not in ("", "NotFoundError"):
            raise SystemExit(f"{name} failed: {payload}")


def _milliseconds(found: list[Invocation]) -> float:
    return 1000 * statistics.median(each.seconds for each in found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--starts", type=int, default=STARTS)
    starts = parser.parse_args().starts
    if command := lacking():
        raise SystemExit(f"nothing is built: run `{command}`")
    print(f"Cold starts, median of {starts}, ms")
    print("function          first request   the next   target")
    for name, (first, second) in measure(starts).items():
        target = f"{TARGETS_MS[name]}" if name in TARGETS_MS else "-"
        print(f"{name:<18}{first:>13.0f}{second:>11.0f}{target:>9}")


if __name__ == "__main__":
    main()
