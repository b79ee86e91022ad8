"""Requests for every route of an endpoint: a walk through both APIs over HTTP.

A test compares the walk with the contract, so a new route needs a request here.
"""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from runyard_service import settings
from runyard_service.api.middleware.stream_endpoint import is_served
from runyard_service.container import container
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.threads import Thread
from tests.crashes.crash_harness import CrashHarness, clear_stores
from tests.crashes.run_observer import RunObserver
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import scenario
from tests.fault_injection.faults import Process
from tests.permissions.deletion_requests import call_deletions
from tests.permissions.key_requests import call_keys
from tests.permissions.webhook_requests import call_webhooks

# Larger than the limit of an event or a message, so it is stored in S3.
_LARGE = "x" * 120_000
_PATHS: dict[str, dict[str, Any]] = json.loads(Path("openapi.json").read_text())["paths"]
_METHODS = ("get", "post", "put", "patch", "delete")


def routes_of(endpoint: str) -> set[str]:
    """Return `METHOD /path` of every route that the contract has for the endpoint."""
    return {
        f"{method.upper()} {path}"
        for path, operations in _PATHS.items()
        for method in _METHODS
        if method in operations and (endpoint == "api" or is_served(method.upper(), path))
    }


@dataclass
class Walk:
    """A caller of an endpoint with its own project; `called_routes` records the used routes."""

    harness: CrashHarness
    client: TestClient
    endpoint: str
    called_routes: set[str] = field(default_factory=set)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request; return the JSON body, or the response itself if it is not JSON."""
        response = self.client.request(method, path, **options)
        assert response.status_code < 400, f"{method} {path}: {response.text}"
        self.called_routes.add(f"{method} {_template_of(path.partition('?')[0])}")
        return response.json() if _is_json(response) else response

    @property
    def is_full_api(self) -> bool:
        """Return True for the endpoint that serves every route."""
        return self.endpoint == "api"

    def call_every_route(self) -> None:
        """Call every route that the endpoint serves."""
        self.call("GET", "/v1/health")
        self._runs()
        self._threads()
        self._lists()
        call_webhooks(self)
        call_keys(self)
        if self.is_full_api:
            self._changes()
            self._thread_changes()
            call_deletions(self, _LARGE)

    # --- the Runs API --------------------------------------------------------------------------

    def _create(self, run_input: Any, **fields: Any) -> str:
        body = {"input": run_input, "background": True, **fields}
        headers = {"Idempotency-Key": f"walk-{self.endpoint}-{json.dumps(body)[:80]}"}
        self.call("POST", "/v1/runs", json=body, headers=headers)
        created = self.call("POST", "/v1/runs", json=body, headers=headers)
        return str(created["data"]["id"])

    def _runs(self) -> None:
        file_id = self._announce_file()
        fields = {"user_id": "u", "session_id": "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a009"}
        run_id = self._create({"case": "large", "text": _LARGE}, file_ids=[file_id], **fields)
        self.run_other_functions(run_id)
        form = {"files": ("note.txt", io.BytesIO(b"hello"), "text/plain")}
        payload = {"input": json.dumps({"case": "plain"}), "background": "true"}
        self.call("POST", "/v1/runs", data=payload, files=form)
        for suffix in ("", "/events", "/events?sort=-sequence", "/export"):
            self.call("GET", f"/v1/runs/{run_id}{suffix}")
        self.call("POST", f"/v1/runs/{run_id}/ticket")
        self.call("GET", f"/v1/runs/{run_id}/stream")
        asking = self._create({"case": "two input requests"})
        self.run_other_functions(asking)
        self.call("GET", f"/v1/runs/{asking}")

    def _announce_file(self) -> str:
        """Return the id of an announced, uploaded file; announce it in the store if necessary."""
        files = self.harness.stores.files
        if self.is_full_api:
            announcement = {"name": "later.txt", "size": 5, "mime_type": "text/plain"}
            file_id = str(self.call("POST", "/v1/files", json=announcement)["data"]["id"])
            form = {"file": ("note.txt", io.BytesIO(b"hello"), "text/plain")}
            self.call("POST", "/v1/files", files=form)
        else:
            with self.harness.run_as(Process(), concurrent=True):  # Not a call of this endpoint.
                file_id = files.announce(self.endpoint, "later.txt", 5, "text/plain")[0].id
        key = f"uploads/{self.endpoint}/{file_id}"
        self.harness.s3.put_object(Bucket=self.harness.bucket, Key=key, Body=b"later")
        return file_id

    def _lists(self) -> None:
        for query in (
            *("", "?user_id=u", "?session_id=8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a009"),
            *("?sort=ended_at", "?sort=-status", "?status=completed", "?status=awaiting_input"),
            *("?agent=crashes", "?started_after=2026-01-01T00:00:00Z"),
            "?ended_after=2026-01-01T00:00:00Z",
        ):
            self.call("GET", f"/v1/runs{query}")
        self.call("GET", "/v1/input-requests")
        self.call("GET", "/v1/usage")

    def _changes(self) -> None:
        run_id = self._create({"case": "two input requests"})
        self.run_other_functions(run_id)
        for request in RunObserver(self.harness, run_id=run_id).open_requests():
            data = {"request_id": request.id, "feedback": _LARGE}
            body = {"type": request.type, "data": data}
            self.call("POST", f"/v1/runs/{run_id}/input", json=body)
        self.run_other_functions(run_id)
        canceled = self._create({"case": "two input requests"})
        self.run_other_functions(canceled)
        self.call("POST", f"/v1/runs/{canceled}/cancel")
        self._migrate()

    def _migrate(self) -> None:
        """Migrate a run of a project that has an agent in its own code."""
        waiting = StartedRun(self.harness, scenario("migrated"))
        waiting.start()
        waiting.run_until_idle()
        assert waiting.run is not None, "the run was started"
        secret, project = f"ry_{waiting.run_id}", waiting.run.project_id
        self.harness.stores.access_keys.save(secret, project_id=project, org_id="o")
        headers = {"Authorization": f"Bearer {secret}"}
        path = f"/v1/runs/{waiting.run_id}/migrate"
        self.call("POST", path, json={"version": "2"}, headers=headers)

    # --- the Threads API -----------------------------------------------------------------------

    def _threads(self) -> None:
        thread_id = self.thread()
        threads = "/threads/v1/threads"
        run = self.call("POST", f"{threads}/{thread_id}/runs", json={"persona_id": "crashes"})
        run_id = run["run_id"]
        self.run_other_functions(run_id)
        for path in (
            *(threads, f"{threads}/{thread_id}", f"{threads}/{thread_id}/messages"),
            *(f"{threads}/{thread_id}/runs", "/threads/v1/runs", f"/threads/v1/runs/{run_id}"),
            *("/threads/v1/personas", "/threads/v1/routes", f"/v1/runs/{run_id}"),
            *("/v1/me", "/v1/agents", "/v1/agents/crashes"),
        ):
            self.call("GET", path)
        headers = {"Accept": "text/event-stream"}
        self.call("GET", f"/threads/v1/runs/{run_id}/events", headers=headers)
        self.call("POST", f"/threads/v1/runs/{run_id}/ticket")

    def thread(self) -> str:
        """Return the id of a thread with a large message."""
        if self.is_full_api:
            thread_id = str(self.call("POST", "/threads/v1/threads", json={})["id"])
            message = {"content": _LARGE}
            self.call("POST", f"/threads/v1/threads/{thread_id}/messages", json=message)
            return thread_id
        at, stores = timestamp(), self.harness.stores
        thread = Thread(
            id=new_id(),
            project_id=self.endpoint,
            org_id=self.endpoint,
            created_at=at,
            updated_at=at,
        )
        with self.harness.run_as(Process(), concurrent=True):  # Not a call of this endpoint.
            stores.threads.create(thread)
            stores.messages.add(thread.id, "user", _LARGE)
        return thread.id

    def _thread_changes(self) -> None:
        threads = "/threads/v1/threads"
        thread_id = self.thread()
        self.call("PATCH", f"{threads}/{thread_id}", json={"title": "t"})
        for action, body in (("input", {"content": "yes"}), (":cancel", {})):
            run_id = self._create({"case": "three input requests"})
            self.run_other_functions(run_id)
            path = f"/threads/v1/runs/{run_id}" + (action if action[0] == ":" else f"/{action}")
            self.call("POST", path, json=body)

    def run_other_functions(self, run_id: str) -> None:
        """Let the other functions process the run until it waits or ends."""
        StartedRun(self.harness, scenario("plain"), run_id=run_id).run_until_idle()


class StartedRun(ScenarioRun):
    """The processing of a run that the API has started."""


def _template_of(path: str) -> str:
    return next(
        template
        for template in sorted(_PATHS, key=lambda path: path.count("{"))
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/:]+", template), path)
    )


def _is_json(response: Response) -> bool:
    return response.headers.get("content-type", "").startswith("application/json")


@contextmanager
def open_walk(harness: CrashHarness, endpoint: str, **variables: str) -> Iterator[Walk]:
    """Yield a caller of the web app, which is configured as one of the endpoints."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        _reset_caches()
        secret = f"ry_{endpoint}"
        harness.stores.access_keys.save(
            secret, project_id=endpoint, org_id=endpoint, agent="crashes"
        )
        headers = {"Authorization": f"Bearer {secret}"}
        with TestClient(
            container().create_app(), headers=headers, follow_redirects=False
        ) as client:
            yield Walk(harness, client, endpoint)
    _reset_caches()


def _reset_caches() -> None:
    clear_stores()
    settings.settings.cache_clear()
