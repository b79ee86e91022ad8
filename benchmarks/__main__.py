"""Measure Runyard on this machine: `make bench`; `make bench-peers` also measures others.

    python -m benchmarks [--quick] [--peers] [--json FILE]

Three stacks one after the other: one as it is, for the times; one whose processes note their calls,
for our own share of them; one that counts units, with the tail's pace as it is on AWS.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import capacity_units, latency, own_time, peers, spans
from benchmarks.results import Figure, p50, table
from benchmarks.stack import PARTS, instrumented, memory_mb, runyard


def main() -> None:
    """Measure, print the table, leave the figures in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once each: to see that it works")
    parser.add_argument("--peers", action="store_true", help="measure the peers too")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    arguments = parser.parse_args()
    size = latency.QUICK if arguments.quick else latency.Size()
    started = time.monotonic()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    before = os.getloadavg()[0]
    figures = [*_print_each(timed(size)), *_print_each(own_shares(size)), *_print_each(counted())]
    compared = peers.measure_all() if arguments.peers else []
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} at the end"
    print(f"\n{when}; {machine}; {load}; {time.monotonic() - started:.0f} s\n")
    print(table(figures, compared))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "when": when,
        "machine": machine,
        "load": load,
        "figures": [figure.to_json() for figure in figures],
        "peers": dict(compared),
    }
    arguments.json.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")


def _print_each(figures: Iterator[Figure]) -> Iterator[Figure]:
    for figure in figures:
        print(f"  {figure.name}: {figure.value:,.1f} {figure.unit}", flush=True)
        yield figure


def timed(size: latency.Size) -> Iterator[Figure]:
    """Times, and what the processes have come to hold by them."""
    print("times, on the stack as it is")
    with runyard() as (stack, client):
        yield from latency.measure(client, size)
        for part in PARTS:
            if memory := memory_mb(stack.pid(part)):
                yield Figure(f"memory of {part}, after it all", memory[0], "MB")
                yield Figure(f"memory of {part}, at most", memory[1], "MB")


def own_shares(size: latency.Size) -> Iterator[Figure]:
    """Our own share of two times, each run alone on the stack."""
    print("our own share, on a stack that notes its calls to the emulators")
    measured = {"create → final": ("sync", 25), "answer → final after a pause": ("resume", 20)}
    with tempfile.TemporaryDirectory() as folder:
        with runyard(environment=instrumented(Path(folder), units=False)) as (stack, client):
            server = stack.pid("web")
            client.measure("sync", count=10, at_once=1)
            count = max(3, size.runs // 4)
            orders = {"sync": {"count": count, "at_once": 1}, "resume": {"count": count}}
            found = {
                name: client.measure(measure, **orders[measure])["moments"]
                for name, (measure, _) in measured.items()
            }
            time.sleep(0.5)  # The last handlers' notes come when they end.
        noted = spans.read(Path(folder))
        for name, (_, most) in measured.items():
            own = [own_time.own_milliseconds(noted, server, *moment) for moment in found[name]]
            yield Figure(f"{name}, our own share, p50", p50(own), "ms", at_most=most)


def counted() -> Iterator[Figure]:
    """Units of one run each; the whole of it for the cost is `benchmarks.cost`'s."""
    print("units, counted")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**instrumented(Path(folder), units=True), **capacity_units.PACE_ON_AWS}
        with runyard("counted", environment) as (stack, client):
            capacity_units.count(
                stack, client, Path(folder), "nothing"
            )  # Definition and key are read.
            for case, name, most in (
                ("nothing", "a run without events of its own", None),
                ("six-steps-at-once", "6 steps, 60 events of 400 bytes, no pauses", 46),
                ("six-steps", "6 steps, 60 events of 400 bytes, 50 a second", 46),
            ):
                used = capacity_units.count(stack, client, Path(folder), case)
                yield Figure(f"write units, {name}", used.writes, "units", at_most=most)
                yield Figure(f"of them events, {name}", used.event_writes, "units")
                yield Figure(f"read units with a watcher, {name}", used.reads, "units")
                invoked = sum(used.invocations.values())
                yield Figure(f"invocations, {name}", invoked, "invocations")
                most = 4 if case == "nothing" else None
                yield Figure(f"transitions, {name}", used.transitions, "states", at_most=most)


if __name__ == "__main__":
    main()
