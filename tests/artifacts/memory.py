"""The peak memory of the two functions that wait, and the processor time of a response.

    make bench-memory

As they were built, one process each, through all that is heavy, twice. Lambda counts what else is
in its machine: its own runtime, and before the streaming endpoint the web adapter; neither is here.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from benchmarks.built_functions import (
    BuiltFunction,
    functions,
    lacking,
    started,
    started_stream,
    variables_of,
)
from benchmarks.peak_memory import forget_peak, peak_mb, processes_below, processor_seconds
from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_dev.template.template import Function
from runyard_service.adapters.s3.agent_bundle import AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.domain.ids import new_id
from tests.artifacts import heavy_requests, heavy_runs
from tests.artifacts.heavy_runs import PROJECT, Heavy, heavy

# Not here, but in Lambda's count: its runtime's own, and the web adapter, a small Rust program.
LAMBDAS_OWN_MB = 10
ADAPTER_MB = 20
# What is to be left of a function's memory.
MARGIN = 0.15
_KEY = "ry_heavy"
_AGENTS_KEY = "agents/heavy.json"


@dataclass(frozen=True)
class Peak:
    """The most that a function's process held in a case."""

    case: str
    mb: float


@contextmanager
def heavy_on(stack: DevStack) -> Iterator[Heavy]:
    """The heavy agent on a stack: published, and asked for by a key of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        heavy(stores_of(stack.environment), Path(folder)) as found,
    ):
        bucket = Bucket(stack.environment["BUCKET"], lambda: stack.client("s3"))
        AgentBundle(bucket, _AGENTS_KEY).write(AgentDirectory(Path(folder)).read())
        found.stores.access_keys.save(_KEY, project_id=PROJECT, org_id="o", agent="heavy")
        yield found


def run_step_with(providers: str) -> Function:
    """run_step as it is deployed where routes lead to these providers."""
    return functions({"PreloadProviders": providers})["run_step"]


@contextmanager
def worker(stack: DevStack, heavy: Heavy, providers: str) -> Iterator[BuiltFunction]:
    """run_step, at rest: these providers' SDKs are imported, and one run was looked for."""
    function = run_step_with(providers)
    variables = variables_of(function, stack.environment)
    variables |= {"HTTP_ALLOWED_PRIVATE_HOSTS": heavy.pages.host_and_port}
    with started(function, variables) as running:
        running.invoke(heavy_runs.turn(new_id()))
        yield running


def worker_peaks(
    stack: DevStack, heavy: Heavy, providers: str, cases: Iterable[str] = heavy_runs.CASES
) -> Iterator[Peak]:
    """Those of run_step, by case."""
    with worker(stack, heavy, providers) as running:
        (process,) = processes_below(running.process)
        yield Peak("at rest", peak_mb(process))
        for case in cases:
            run = heavy_runs.CASES[case](heavy)
            forget_peak(process)
            heavy_runs.execute(heavy, running, run)
            yield Peak(case, peak_mb(process))


def stream_peaks(stack: DevStack, heavy: Heavy, events: int) -> Iterator[Peak]:
    """Those of the streaming service, by case; `events` are in the long log that it replays."""
    function, logs = functions()["stream"], heavy_requests.logs(heavy, events)
    variables = variables_of(function, stack.environment)
    variables |= {
        "AGENTS_OBJECT_KEY": _AGENTS_KEY,
        "DEFAULT_AGENT": "heavy",
        "DEFAULT_PERSONA": "heavy",
        "SYNC_WAIT_SECONDS": "1",
    }
    with (
        started_stream(function, variables) as running,
        httpx.Client(
            base_url=running.url, headers={"authorization": f"Bearer {_KEY}"}, timeout=120
        ) as service,
    ):
        assert service.get("/v1/health").status_code == 200
        # run.sh has become the server: there is no other process.
        yield Peak("at rest", peak_mb(running.process))
        for case, ask in heavy_requests.CASES.items():
            forget_peak(running.process)
            ask(service, logs)
            yield Peak(case, peak_mb(running.process))


def _work(stack: DevStack, heavy: Heavy) -> Iterator[tuple[str, float]]:
    """Milliseconds of a processor that run_step takes for a run of one response, by response."""
    responses = {
        "in one delta": (20, heavy_runs.response(1)),
        "in 200 deltas at once": (10, heavy_runs.response(200)),
        "in 200 deltas, each written by itself": (2, replace(heavy_runs.response(200), pause=0.06)),
        "in 10,000 deltas at once": (2, heavy_runs.response(10_000)),
    }
    with worker(stack, heavy, "openai") as running:
        (process,) = processes_below(running.process)
        heavy_runs.execute(heavy, running, heavy.run(heavy_runs.response(1)))
        for name, (runs, response) in responses.items():
            started = processor_seconds(process)
            for _ in range(runs):
                heavy_runs.execute(heavy, running, heavy.run(response))
            yield name, 1000 * (processor_seconds(process) - started) / runs


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000, help="in the long log")
    arguments = parser.parse_args()
    if command := lacking():
        raise SystemExit(f"nothing is built: run `{command}`")
    with (
        tempfile.TemporaryDirectory() as folder,
        DevStack.start(data_dir=Path(folder), web=False, sweep_seconds=None) as stack,
        heavy_on(stack) as agent,
    ):
        for providers in ("openai", "openai,anthropic"):
            print(f"\nrun_step with {providers}, MB")
            for peak in worker_peaks(stack, agent, providers):
                print(f"{peak.case:<36}{peak.mb:>6.0f}", flush=True)
        print("\nstream, MB")
        for peak in stream_peaks(stack, agent, arguments.events):
            print(f"{peak.case:<36}{peak.mb:>6.0f}", flush=True)
        print("\nrun_step's work for a run of one response, ms of a processor")
        for name, milliseconds in _work(stack, agent):
            print(f"{name:<36}{milliseconds:>6.0f}", flush=True)


if __name__ == "__main__":
    main()
