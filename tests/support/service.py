"""A client of the Runs API, for tests."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from tests.support.event_schemas import find_schema_violations

TERMINAL = {"run.completed", "run.failed", "run.canceled"}

# No keep-alive expiry: httpcore can close a connection that another thread has just acquired.
CONNECTIONS = httpx.Limits(max_connections=300, keepalive_expiry=None)


@dataclass
class Service:
    """The Runs API over HTTP."""

    base_url: str
    access_key: str

    def __post_init__(self) -> None:
        """Open the connection pool."""
        self.http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {self.access_key}"},
            timeout=60,
            follow_redirects=True,  # The API endpoint redirects streams.
            limits=CONNECTIONS,
        )

    def close(self) -> None:
        """Close the connection pool."""
        self.http.close()

    def create(self, run_input: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """Start a run; return the run from the response."""
        response = self.http.post("/v1/runs", json={"input": run_input, **fields})
        assert response.status_code in (200, 202), response.text
        return response.json()["data"]  # type: ignore[no-any-return]

    def run(self, run_id: str) -> dict[str, Any]:
        """Return the run."""
        response = self.http.get(f"/v1/runs/{run_id}")
        assert response.status_code == 200, response.text
        return response.json()["data"]  # type: ignore[no-any-return]

    def wait(self, run_id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the run has one of the statuses; return it."""
        until = time.monotonic() + seconds
        while (run := self.run(run_id))["status"] not in statuses:
            assert time.monotonic() < until, f"still {run['status']}: {run}"
            time.sleep(0.05)
        return run

    def answer(self, run: Mapping[str, Any], **data: Any) -> httpx.Response:
        """Answer the run's first open input request."""
        request = run["input_requests"][0]
        body = {"type": request["type"], "data": {"request_id": request["id"], **data}}
        return self.http.post(f"/v1/runs/{run['id']}/input", json=body)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Read all events of the run, page by page."""
        events: list[dict[str, Any]] = []
        page = 1
        while True:
            response = self.http.get(
                f"/v1/runs/{run_id}/events", params={"page": page, "page_size": 500}
            )
            assert response.status_code == 200, response.text
            events += response.json()["data"]
            violations = find_schema_violations(response.json()["data"])
            assert violations == [], violations
            if page >= response.json()["pagination"]["page_count"]:
                return events
            page += 1

    def stream(self, run_id: str, after: int = 0) -> Iterator[ServerSentEvent]:
        """Yield the run's events from its stream until the connection ends."""
        path = f"/v1/runs/{run_id}/stream?after_sequence={after}"
        with connect_sse(self.http, "GET", path) as source:
            source.response.raise_for_status()
            yield from source.iter_sse()


def assert_whole(events: list[dict[str, Any]]) -> None:
    """Assert that an ended run's log has no gaps and has its only terminal event at the end."""
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] in TERMINAL for event in events].count(True) == 1
    assert events[-1]["type"] in TERMINAL
