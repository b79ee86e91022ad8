"""A client of the Threads API, for tests."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from tests.support.event_schemas import find_schema_violations
from tests.support.service import CONNECTIONS

BASE_PATH = "/threads/v1"
ENDED = ("completed", "failed", "cancelled")


@dataclass
class ThreadsService:
    """The Threads API over HTTP, for one access key."""

    base_url: str
    access_key: str
    base_path: str = BASE_PATH

    def __post_init__(self) -> None:
        """Open the connection pool."""
        self.http = httpx.Client(
            base_url=self.base_url + self.base_path,
            headers={"Authorization": f"Bearer {self.access_key}"},
            timeout=60,
            follow_redirects=True,  # The API endpoint redirects streams.
            limits=CONNECTIONS,
        )

    def close(self) -> None:
        """Close the connection pool."""
        self.http.close()

    def __enter__(self) -> "ThreadsService":
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection pool."""
        self.close()

    def thread(self, *contents: str, **fields: Any) -> str:
        """Create a thread with these user messages; return its id."""
        response = self.http.post("/threads", json=fields)
        assert response.status_code == 201, response.text
        thread_id = str(response.json()["id"])
        for content in contents:
            self.say(thread_id, content)
        return thread_id

    def say(self, thread_id: str, content: str) -> dict[str, Any]:
        """Append a message."""
        response = self.http.post(f"/threads/{thread_id}/messages", json={"content": content})
        assert response.status_code == 201, response.text
        return response.json()  # type: ignore[no-any-return]

    def start(self, thread_id: str, persona_id: str = "talker", **fields: Any) -> str:
        """Start a run in the thread; return the run's id."""
        body = {"persona_id": persona_id, **fields}
        response = self.http.post(f"/threads/{thread_id}/runs", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["run_id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return the run."""
        return self.get(f"/runs/{run_id}")  # type: ignore[no-any-return]

    def wait(self, run_id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the run has one of the statuses, by default a final status; return it."""
        until = time.monotonic() + seconds
        while (run := self.run(run_id))["status"] not in (statuses or ENDED):
            assert time.monotonic() < until, f"still {run['status']}: {run}"
            time.sleep(0.05)
        return run

    def wait_free(self, thread_id: str, seconds: float = 60) -> bool:
        """Wait until the thread has no active run."""
        until = time.monotonic() + seconds
        while self.get(f"/threads/{thread_id}")["active_run_id"] is not None:
            assert time.monotonic() < until
            time.sleep(0.02)
        return True

    def answered(self, thread_id: str, **fields: Any) -> str:
        """Run the thread; return the content of its last message."""
        assert self.wait(self.start(thread_id, **fields))["status"] == "completed"
        return str(self.get(f"/threads/{thread_id}/messages")[-1]["content"])

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON body at the path."""
        response = self.http.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def frames(self, run_id: str, **query: Any) -> Iterator[ServerSentEvent]:
        """Yield the frames of the run's stream until the connection ends."""
        path = httpx.URL(f"/runs/{run_id}/events", params=query)
        with connect_sse(self.http, "GET", str(path)) as source:
            source.response.raise_for_status()
            yield from source.iter_sse()

    def events(self, run_id: str, **query: Any) -> list[dict[str, Any]]:
        """Return the events of the run's stream."""
        events = [json.loads(frame.data) for frame in self.frames(run_id, **query)]
        assert find_schema_violations(events, "ThreadsEvent") == []
        return events


def assert_rejected(response: httpx.Response, status: int, code: str) -> Mapping[str, str]:
    """Assert that this is an error of the Threads API; return its details."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["code"] == code
    assert set(body) - {"details"} == {"code", "message", "trace_id"}
    assert body["trace_id"] == response.headers["x-trace-id"]
    assert len(body["trace_id"]) == 32
    return body.get("details", {})  # type: ignore[no-any-return]
