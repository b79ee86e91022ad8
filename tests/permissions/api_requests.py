"""Every request that a door takes, made of it: one walk through both APIs, over HTTP.

The walk is held against the contract, so a new route needs a request here.
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
from runyard_service.api.stream_endpoint import is_served
from runyard_service.container import container
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.threads import Thread
from tests.crashes.crash_harness import CrashHarness, forget_stores
from tests.crashes.run_observer import RunObserver
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import scenario
from tests.fault_injection.faults import Process
from tests.permissions.deletion_requests import ask_deletions
from tests.permissions.webhook_requests import ask_webhooks

# Above what an event or a message may hold, so that it goes to S3.
_LARGE = "x" * 120_000
_PATHS: dict[str, dict[str, Any]] = json.loads(Path("openapi.json").read_text())["paths"]
_METHODS = ("get", "post", "put", "patch", "delete")


def routes_of(door: str) -> set[str]:
    """`METHOD /path` of everything that the door takes, by the contract."""
    return {
        f"{method.upper()} {path}"
        for path, operations in _PATHS.items()
        for method in _METHODS
        if method in operations and (door == "api" or is_served(method.upper(), path))
    }


@dataclass
class Walk:
    """A caller at one door, with a project of its own; `asked` are the routes that were taken."""

    world: CrashHarness
    client: TestClient
    door: str
    asked: set[str] = field(default_factory=set)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The answer's body, or the answer itself where it is not JSON."""
        response = self.client.request(method, path, **options)
        assert response.status_code < 400, f"{method} {path}: {response.text}"
        self.asked.add(f"{method} {_template_of(path.partition('?')[0])}")
        return response.json() if _is_json(response) else response

    @property
    def answers(self) -> bool:
        """Whether this is the door that takes everything."""
        return self.door == "api"

    def whole(self) -> None:
        """All of it."""
        self.ask("GET", "/v1/health")
        self._runs()
        self._threads()
        self._lists()
        ask_webhooks(self)
        if self.answers:
            self._changes()
            self._thread_changes()
            ask_deletions(self, _LARGE)

    # --- the Runs API --------------------------------------------------------------------------

    def _create(self, run_input: Any, **fields: Any) -> str:
        body = {"input": run_input, "background": True, **fields}
        headers = {"Idempotency-Key": f"walk-{self.door}-{json.dumps(body)[:80]}"}
        self.ask("POST", "/v1/runs", json=body, headers=headers)
        created = self.ask("POST", "/v1/runs", json=body, headers=headers)
        return str(created["data"]["id"])

    def _runs(self) -> None:
        announced = self._announced()
        fields = {"user_id": "u", "session_id": "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a009"}
        run_id = self._create({"case": "large", "text": _LARGE}, file_ids=[announced], **fields)
        self.settle(run_id)
        form = {"files": ("note.txt", io.BytesIO(b"hello"), "text/plain")}
        payload = {"input": json.dumps({"case": "plain"}), "background": "true"}
        self.ask("POST", "/v1/runs", data=payload, files=form)
        for what in ("", "/events", "/events?sort=-sequence", "/export"):
            self.ask("GET", f"/v1/runs/{run_id}{what}")
        self.ask("POST", f"/v1/runs/{run_id}/ticket")
        self.ask("GET", f"/v1/runs/{run_id}/stream")
        asking = self._create({"case": "questions"})
        self.settle(asking)
        self.ask("GET", f"/v1/runs/{asking}")

    def _announced(self) -> str:
        """A file that was announced and uploaded; through the other door, if need be."""
        files = self.world.stores.files
        if self.answers:
            asked = {"name": "later.txt", "size": 5, "mime_type": "text/plain"}
            file_id = str(self.ask("POST", "/v1/files", json=asked)["data"]["id"])
            form = {"file": ("note.txt", io.BytesIO(b"hello"), "text/plain")}
            self.ask("POST", "/v1/files", files=form)
        else:
            with self.world.working(Process(), concurrent=True):  # Not this door's doing.
                file_id = files.announce(self.door, "later.txt", 5, "text/plain")[0].id
        place = f"uploads/{self.door}/{file_id}"
        self.world.s3.put_object(Bucket=self.world.bucket, Key=place, Body=b"later")
        return file_id

    def _lists(self) -> None:
        for query in (
            *("", "?user_id=u", "?session_id=8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a009"),
            *("?sort=ended_at", "?sort=-status", "?status=completed", "?status=awaiting_input"),
        ):
            self.ask("GET", f"/v1/runs{query}")
        self.ask("GET", "/v1/input-requests")

    def _changes(self) -> None:
        run_id = self._create({"case": "questions"})
        self.settle(run_id)
        for request in RunObserver(self.world, run_id=run_id).open_requests():
            data = {"request_id": request.id, "feedback": _LARGE}
            body = {"type": request.type, "data": data}
            self.ask("POST", f"/v1/runs/{run_id}/input", json=body)
        self.settle(run_id)
        canceled = self._create({"case": "questions"})
        self.settle(canceled)
        self.ask("POST", f"/v1/runs/{canceled}/cancel")

    # --- the Threads API -----------------------------------------------------------------------

    def _threads(self) -> None:
        thread_id = self.thread()
        threads = "/threads/v1/threads"
        run = self.ask("POST", f"{threads}/{thread_id}/runs", json={"persona_id": "crashes"})
        run_id = run["run_id"]
        self.settle(run_id)
        for path in (
            *(threads, f"{threads}/{thread_id}", f"{threads}/{thread_id}/messages"),
            *(f"{threads}/{thread_id}/runs", "/threads/v1/runs", f"/threads/v1/runs/{run_id}"),
            *("/threads/v1/personas", "/threads/v1/routes", f"/v1/runs/{run_id}"),
        ):
            self.ask("GET", path)
        headers = {"Accept": "text/event-stream"}
        self.ask("GET", f"/threads/v1/runs/{run_id}/events", headers=headers)
        self.ask("POST", f"/threads/v1/runs/{run_id}/ticket")

    def thread(self) -> str:
        """A thread in which somebody has said much; made at the API."""
        if self.answers:
            thread_id = str(self.ask("POST", "/threads/v1/threads", json={})["id"])
            said = {"content": _LARGE}
            self.ask("POST", f"/threads/v1/threads/{thread_id}/messages", json=said)
            return thread_id
        at, stores = timestamp(), self.world.stores
        thread = Thread(
            id=new_id(), project_id=self.door, org_id=self.door, created_at=at, updated_at=at
        )
        with self.world.working(Process(), concurrent=True):  # Not this door's doing.
            stores.threads.create(thread)
            stores.messages.add(thread.id, "user", _LARGE)
        return thread.id

    def _thread_changes(self) -> None:
        threads = "/threads/v1/threads"
        thread_id = self.thread()
        self.ask("PATCH", f"{threads}/{thread_id}", json={"title": "t"})
        for what, body in (("input", {"content": "yes"}), (":cancel", {})):
            run_id = self._create({"case": "three questions"})
            self.settle(run_id)
            path = f"/threads/v1/runs/{run_id}" + (what if what[0] == ":" else f"/{what}")
            self.ask("POST", path, json=body)

    def settle(self, run_id: str) -> None:
        """The other functions do their part, as processes of their own."""
        RunsOn(self.world, scenario("plain"), run_id=run_id).settle()


class RunsOn(ScenarioRun):
    """The journey of a run that somebody else has started."""


def _template_of(path: str) -> str:
    return next(
        each
        for each in sorted(_PATHS, key=lambda each: each.count("{"))
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/:]+", each), path)
    )


def _is_json(response: Response) -> bool:
    return response.headers.get("content-type", "").startswith("application/json")


@contextmanager
def at_door(world: CrashHarness, door: str, **variables: str) -> Iterator[Walk]:
    """The web app as it is configured for one of the doors, and a caller of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        _forget()
        secret = f"ry_{door}"
        world.stores.access_keys.put(secret, project_id=door, org_id=door, agent="crashes")
        headers = {"Authorization": f"Bearer {secret}"}
        with TestClient(
            container().create_app(), headers=headers, follow_redirects=False
        ) as client:
            yield Walk(world, client, door)
    _forget()


def _forget() -> None:
    forget_stores()
    settings.settings.cache_clear()
