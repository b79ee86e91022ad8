"""The timed measures, in their order; the same for every server that the client can speak to."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.results import Figure, p50, p99
from benchmarks.stack import Client


@dataclass(frozen=True)
class Size:
    """How often each thing is done."""

    runs: int = 100
    floods: int = 7
    large_floods: int = 3
    replays: int = 5
    large: int = 10_000
    lags: tuple[tuple[int, int], ...] = ((1, 1), (1, 10), (1, 50), (10, 1), (50, 1))
    """Runs at once, and streams of each."""


# A second per run, and per 200 events, is what the peer takes.
PEER = Size(runs=30, floods=3, large_floods=1, replays=3, large=1_000, lags=((1, 1), (1, 50)))
QUICK = Size(runs=5, floods=1, large_floods=1, replays=1, large=1_000, lags=((1, 2),))


def measure(client: Client, size: Size) -> Iterator[Figure]:
    """Every timed figure, as it is there."""
    client.measure("sync", count=max(2, size.runs // 5), at_once=1)  # To warm up.
    yield from _runs(client, size)
    yield from _floods(client, size)
    yield from _lags(client, size)
    times = client.measure("resume", count=max(2, size.runs // 5))["milliseconds"]
    yield Figure("answer → final after a pause, p50", p50(times), "ms", at_most=60)
    rates = client.measure("replay", events=size.large, times=size.replays)["events_per_second"]
    name = "replay of a stored run"
    yield Figure(name, p50(rates), "events/s", at_least=50_000)


def _runs(client: Client, size: Size) -> Iterator[Figure]:
    for at_once, most in ((1, 80), (10, 300)):
        times = client.measure("sync", count=size.runs * min(2, at_once), at_once=at_once)
        name = f"create → final, {at_once} at once"
        yield Figure(f"{name}, p50", p50(times["milliseconds"]), "ms", at_most=most)
        yield Figure(f"{name}, p99", p99(times["milliseconds"]), "ms")
    for at_once in (1, 10):
        times = client.measure("background", count=size.runs, at_once=at_once)
        name, goal = f"background create, {at_once} at once", 20 if at_once == 1 else None
        yield Figure(f"{name}, p50", p50(times["milliseconds"]), "ms", at_most=goal)
        yield Figure(f"{name}, together", times["per_second"], "runs/s")
    client.measure("sync", count=2, at_once=1)  # These wait for all runs that are still active.


def _floods(client: Client, size: Size) -> Iterator[Figure]:
    first = client.measure("first_event", count=max(2, size.runs // 2))["milliseconds"]
    yield Figure("first event of a streamed create, p50", p50(first), "ms", at_most=40)
    yield Figure("first event of a streamed create, p99", p99(first), "ms")
    rates = [
        client.measure("flood", events=1000, at_once=1)["events_per_second"][0]
        for _ in range(size.floods)
    ]
    yield Figure("stream of 1,000 events, POST to end", p50(rates), "events/s", at_least=11_200)
    if size.large > 1_000:
        rates = [
            client.measure("flood", events=size.large, at_once=1)["events_per_second"][0]
            for _ in range(size.large_floods)
        ]
        name = f"stream of {size.large:,} events, POST to end"
        yield Figure(name, p50(rates), "events/s")
    rates = [
        client.measure("flood", events=1000, at_once=10)["together_per_second"]
        for _ in range(size.large_floods)
    ]
    yield Figure("ten streams of 1,000 at once", p50(rates), "events/s", at_least=11_300)


def _lags(client: Client, size: Size) -> Iterator[Figure]:
    for runs, streams in size.lags:
        lags = client.measure("lag", runs=runs, streams=streams)["milliseconds"]
        whose = "one run" if runs == 1 else f"each of {runs} runs"
        name = f"lag at 20 events/s, {streams} streams of {whose}"
        is_named = (runs, streams) == (1, 50)
        yield Figure(f"{name}, p50", p50(lags), "ms", at_most=25 if is_named else None)
        yield Figure(f"{name}, p99", p99(lags), "ms", at_most=80 if is_named else None)
