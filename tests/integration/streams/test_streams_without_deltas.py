"""A stream without deltas sends heartbeats also while the log has nothing but deltas."""

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.api.sse import SseFormat, event_stream
from runyard_service.application.streams.follow_events import FollowedRuns
from runyard_service.application.streams.tail import PollBackoff
from runyard_service.domain.events import EventType, NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.settings import Settings

BATCHES: tuple[tuple[EventType, int], ...] = (
    ("run.started", 1),
    ("agent.response.delta", 100),
    ("agent.reasoning.delta", 40),
    ("agent.tool_call.progress", 3),
    ("run.completed", 1),
)


async def body_of(stores: Stores, run_id: str, heartbeat_seconds: float) -> list[str]:
    """Return the chunks of the stream of the run without deltas."""
    settings = Settings(stream_heartbeat_seconds=heartbeat_seconds)
    runs = FollowedRuns(stores.log, PollBackoff())
    shape = SseFormat(deltas=False)
    response = event_stream(runs, settings, run_id, 0, shape, {})
    chunks = [bytes(chunk).decode() async for chunk in response.body_iterator]  # type: ignore[arg-type]
    return [chunk.partition("\ndata:")[0] for chunk in chunks]


@pytest.mark.anyio
async def test_deltas_are_left_out_and_count_as_silence(stores: Stores) -> None:
    run_id, last = new_id(), 0
    for type_, count in BATCHES:
        stores.log.append(run_id, last, [NewEvent(type=type_, data={})] * count)
        last += count
    frames = ["id: 1\nevent: run.started", "id: 145\nevent: run.completed"]
    assert await body_of(stores, run_id, 3600) == ["retry: 2000\n", *frames]
    heartbeat = ": heartbeat\n"
    assert await body_of(stores, run_id, 0) == [
        "retry: 2000\n",
        frames[0],
        *[heartbeat] * 3,
        frames[1],
    ]
