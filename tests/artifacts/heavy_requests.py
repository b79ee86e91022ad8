"""Requests that take as much of the streaming endpoint's memory as the limits allow.

A Lambda process handles one request at a time, so these come one after the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from runyard_service.domain.events import NewEvent
from runyard_service.domain.runs import Run
from tests.artifacts.heavy_runs import LARGEST_INPUT_BYTES, LARGEST_RESULT_BYTES, Heavy, text


@dataclass(frozen=True)
class Logs:
    """Runs that have ended: one of many events, one of large results."""

    long: Run
    large: Run


def logs(heavy: Heavy, events: int) -> Logs:
    """The two; `events` is how many the long one has."""
    delta = NewEvent(
        "agent.response.delta",
        {"object": "agent.response", "delta": text(300), "iteration": 1},
    )
    result = NewEvent("agent.message.completed", {"content": text(LARGEST_RESULT_BYTES)})
    return Logs(_ended(heavy, delta, events), _ended(heavy, result, 6))


def _ended(heavy: Heavy, new_event: NewEvent, events: int) -> Run:
    run, log, last = heavy.run(), heavy.stores.log, 0
    while last < events:
        last = log.append(run.id, last, [new_event] * min(1000, events - last))[-1].sequence
    log.append(run.id, last, [NewEvent("run.failed", {"id": run.id})])
    return run


def _replay(service: httpx.Client, run: Run) -> None:
    end = b""
    with service.stream("GET", f"/v1/runs/{run.id}/stream") as answer:
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            end = (end + chunk)[-1000:]
    assert b"event: run.failed\n" in end


def _create(service: httpx.Client, size: int, is_waited_for: bool = False) -> None:
    body = {"input": {"x": text(size)}, "background": not is_waited_for}
    assert service.post("/v1/runs", json=body).status_code == 202


def _arrays(service: httpx.Client) -> None:
    """Send the body that takes the most memory for its size: two million empty arrays."""
    body = b'{"input": {"x": [[]' + b",[]" * 2_000_000 + b"]}}"
    headers = {"Content-Type": "application/json"}
    created = service.post("/v1/runs", content=body, headers=headers)
    assert created.status_code == 400
    answer = b'{"content": [[]' + b",[]" * 2_000_000 + b"]}"
    path = "/v1/runs/8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001/input"
    for key in (service.headers["authorization"], "Bearer unknown"):
        answered = service.post(path, content=answer, headers={**headers, "Authorization": key})
        # The streaming endpoint takes no answers.
        assert answered.status_code == 421


CASES: Mapping[str, Callable[[httpx.Client, Logs], None]] = {
    "a create that is waited for": lambda service, _: _create(service, 100, is_waited_for=True),
    "the replay of a long log": lambda service, logs: _replay(service, logs.long),
    "a create of 5 MB": lambda service, _: _create(service, LARGEST_INPUT_BYTES),
    "two million arrays": lambda service, _: _arrays(service),
    "the replay of six results of 5 MB": lambda service, logs: _replay(service, logs.large),
}
