"""The measuring client: a process of its own that takes orders as lines of JSON and answers so.

    {"measure": "sync", "server": {…}, …}  ──▶  {"milliseconds": […], …}

What it measures is a method of `Measures`; how a server wants to be spoken to is a dialect.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks.http_client import Connection
from benchmarks.targets import TARGETS, RunsApi, TargetApi

_IDS = re.compile(rb"^id: (\d+)$", re.MULTILINE)
# A run that takes longer than this has failed the measure.
_PATIENCE_SECONDS = 120.0


class BrokenStreamError(Exception):
    """A stream lacked an event, had one twice, or ended before the run did."""


@dataclass
class StreamObserver:
    """What one stream brought: moments are seconds of the monotonic clock."""

    dialect: TargetApi
    content: list[bytes] = field(default_factory=list)
    first_at: float = 0.0
    ended_at: float = 0.0
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """Of each event, its own timestamp and when it arrived, in seconds of the wall clock."""

    async def watch(
        self, connection: Connection, method: str, path: str, body: Any = None
    ) -> "StreamObserver":
        """Read the stream to its end."""
        async for frames in connection.stream(method, path, body):
            if not self.first_at and b"data:" in frames:
                self.first_at = time.monotonic()
            self.content.append(frames)
        self.ended_at = time.monotonic()
        return self

    async def watch_arrivals(self, connection: Connection, path: str) -> "StreamObserver":
        """The same, with the moments of each delta."""
        async for frames in connection.stream("GET", path):
            arrived = time.time()
            for found in self.dialect.timestamps.finditer(frames):
                self.arrivals.append((_seconds(found.group(1)), arrived))
            self.content.append(frames)
        return self

    def check(self) -> int:
        """The number of measured events. Raises BrokenStreamError."""
        content = b"".join(self.content)
        if self.dialect.ids_are_dense:
            ids = [int(number) for number in _IDS.findall(content)]
            if not ids or ids != list(range(ids[0], ids[0] + len(ids))):
                raise BrokenStreamError(f"sequences are not dense: {ids[:3]} … {ids[-3:]}")
        if not self.dialect.end.search(content):
            raise BrokenStreamError(f"the run did not end: … {content[-500:]!r}")
        return len(self.dialect.delta.findall(content))


def _seconds(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.decode()).timestamp()


def _milliseconds(moments: Sequence[tuple[float, float]]) -> dict[str, Any]:
    return {
        "milliseconds": [(ended - started) * 1000 for started, ended in moments],
        "moments": moments,
    }


class Measures:
    """The measures of one server."""

    def __init__(self, server: Mapping[str, Any]) -> None:
        self._server = server
        self._dialect = TARGETS[server["dialect"]]

    def _connection(self) -> Connection:
        return Connection(self._server["host"], self._server["port"], self._server["headers"])

    async def sync(self, count: int, at_once: int) -> dict[str, Any]:
        """Create a run and wait for its end: milliseconds of each."""

        async def one(connection: Connection) -> None:
            await self._dialect.run_to_end(connection)

        return await self._timed(one, count, at_once)

    async def background(self, count: int, at_once: int) -> dict[str, Any]:
        """Create a run and do not wait for it: milliseconds of each, and runs per second."""

        async def one(connection: Connection) -> None:
            await self._dialect.create(connection, "nothing")

        return await self._timed(one, count, at_once)

    async def _timed(
        self, one: Callable[[Connection], Awaitable[None]], count: int, at_once: int
    ) -> dict[str, Any]:
        moments: list[tuple[float, float]] = []
        left = iter(range(count))

        async def worker() -> None:
            async with self._connection() as connection:
                for _ in left:
                    started = time.monotonic()
                    await one(connection)
                    moments.append((started, time.monotonic()))

        started = time.monotonic()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        seconds = time.monotonic() - started
        return {**_milliseconds(moments), "per_second": count / seconds}

    async def flood(self, events: int, at_once: int) -> dict[str, Any]:
        """Streamed creates: milliseconds to the first event, events per second from POST to end."""

        async def one() -> tuple[float, float, int]:
            async with self._connection() as connection:
                call = await self._dialect.streamed_create(connection, f"flood-{events}")
                started = time.monotonic()
                watched = await StreamObserver(self._dialect).watch(connection, *call)
                return watched.first_at - started, watched.ended_at - started, watched.check()

        started = time.monotonic()
        streams = await asyncio.gather(*(one() for _ in range(at_once)))
        seconds = time.monotonic() - started
        assert all(found == events for _, _, found in streams), streams
        return {
            "first_event_ms": [first * 1000 for first, _, _ in streams],
            "events_per_second": [found / whole for _, whole, found in streams],
            "together_per_second": at_once * events / seconds,
        }

    async def first_event(self, count: int) -> dict[str, Any]:
        """Streamed creates, one after the other: milliseconds to the first event."""
        milliseconds = []
        async with self._connection() as connection:
            for _ in range(count):
                call = await self._dialect.streamed_create(connection, "nothing")
                started = time.monotonic()
                watched = await StreamObserver(self._dialect).watch(connection, *call)
                watched.check()
                milliseconds.append((watched.first_at - started) * 1000)
        return {"milliseconds": milliseconds}

    async def lag(self, runs: int, streams: int) -> dict[str, Any]:
        """Start runs of 20 events a second, each with this number of streams; return lags in ms.

        Only of events that were appended when all streams had brought their first: what a stream
        is given of the time before it came is no lag.
        """

        async def one() -> list[StreamObserver]:
            async with self._connection() as creating:
                path = await self._dialect.create(creating, "ticking")

            async def watch() -> StreamObserver:
                async with self._connection() as connection:
                    return await StreamObserver(self._dialect).watch_arrivals(connection, path)

            return await asyncio.gather(*(watch() for _ in range(streams)))

        seen = [each for run in await asyncio.gather(*(one() for _ in range(runs))) for each in run]
        for each in seen:
            each.check()
        started = max(each.arrivals[0][1] for each in seen)
        arrivals = [moments for each in seen for moments in each.arrivals]
        return {"milliseconds": [(at - by) * 1000 for by, at in arrivals if by > started]}

    async def resume(self, count: int) -> dict[str, Any]:
        """Answer an input request; return the milliseconds until the run's stream shows its end."""
        moments: list[tuple[float, float]] = []
        for _ in range(count):
            async with self._connection() as connection, self._connection() as watching:
                pause = await self._dialect.pause(connection)
                watcher = asyncio.create_task(
                    StreamObserver(self._dialect).watch(watching, "GET", pause.stream)
                )
                await asyncio.sleep(0.3)  # As long as a tail takes to find its slowest pace.
                started = time.monotonic()
                if pause.is_streamed:
                    watcher.cancel()
                    watched = await StreamObserver(self._dialect).watch(connection, *pause.answer)
                else:
                    await connection.call(*pause.answer)
                    watched = await watcher
                watched.check()
                moments.append((started, watched.ended_at))
        return _milliseconds(moments)

    async def replay(self, events: int, times: int) -> dict[str, Any]:
        """Read an ended run's stream from its first event: events per second."""
        async with self._connection() as connection:
            call = await self._dialect.streamed_create(connection, f"flood-{events}")
            first = await StreamObserver(self._dialect).watch(connection, *call)
            first.check()
            path = self._dialect.replay_path(b"".join(first.content))
            connection.more_headers["Last-Event-ID"] = "-1"
            rates = []
            for _ in range(times):
                started = time.monotonic()
                watched = await StreamObserver(self._dialect).watch(connection, "GET", path)
                seconds = watched.ended_at - started
                found = watched.check()
                assert found == events, found
                rates.append(events / seconds)
        return {"events_per_second": rates}

    async def watch_case(self, case: str) -> dict[str, Any]:
        """Run a case with one stream and answer its request; return its stream and seconds."""
        dialect, watched = RunsApi(), StreamObserver(RunsApi())
        async with self._connection() as connection, self._connection() as watching:
            path = await dialect.create(connection, case)
            started = time.monotonic()
            watcher = asyncio.create_task(watched.watch(watching, "GET", path))
            is_answered = False
            while not watcher.done():
                await asyncio.wait([watcher], timeout=0.1)
                if not is_answered and b"event: run.paused" in b"".join(watched.content[-2:]):
                    await dialect.answer(connection, path)
                    is_answered = True
            await watcher
            watched.check()
        return {"stream": path, "seconds": watched.ended_at - started}


async def _obey(order: dict[str, Any]) -> dict[str, Any]:
    measures = Measures(order.pop("server"))
    measure = getattr(measures, order.pop("measure"))
    async with asyncio.timeout(_PATIENCE_SECONDS):
        result: dict[str, Any] = await measure(**order)
        return result


def main() -> None:
    """Take orders until there are no more."""
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            print(json.dumps(runner.run(_obey(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
