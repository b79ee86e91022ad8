"""Two doors, one service: the one that cannot stream sends its callers to the one that can."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from runyard.agent.agent_files import FolderOfAgents
from runyard.agent.catalog import Catalog
from runyard.bootstrap import Services
from runyard.dev.supervisor import LocalStack
from runyard.engine.orchestrator import Orchestrator
from runyard.settings import Settings
from runyard.store.stores import Stores
from runyard.store.ticket_keys import TicketKeys
from runyard.web.app import create_app

TICKET = {"ticket_subject": "Export is broken"}


@pytest.fixture
def gateway(stack: LocalStack, stores: Stores) -> Iterator[TestClient]:
    """The app as behind API Gateway, whose streams are the stack's own web server's."""
    settings = Settings.from_environment(stack.environment)
    services = Services(
        settings=settings.model_copy(
            update={"stream_url": stack.base_url + "/", "sync_wait_seconds": 0.01}
        ),
        stores=stores,
        orchestrator=Orchestrator(stack.client("stepfunctions"), settings.run_machine_arn),
        catalog=Catalog(FolderOfAgents(Path(settings.agents_dir))),
        ticket_keys=TicketKeys(lambda: stack.client("secretsmanager"), settings.ticket_secret_id),
    )
    headers = {"Authorization": f"Bearer {stack.access_key}"}
    with TestClient(create_app(services), headers=headers, follow_redirects=False) as client:
        yield client


def test_a_streamed_create_is_followed_through_the_other_door(gateway: TestClient) -> None:
    response = gateway.post("/v1/runs", json={"input": TICKET, "stream": True})
    assert response.status_code == 303
    assert response.headers["x-run-id"] in response.headers["location"]
    # No header of the caller's: the ticket is enough.
    events = httpx.get(response.headers["location"], timeout=30)
    assert events.headers["content-type"].startswith("text/event-stream")
    assert "event: run.started" in events.text
    assert "event: run.completed" in events.text


def test_a_stream_is_sent_on_with_its_cursor(gateway: TestClient, stack: LocalStack) -> None:
    run_id = gateway.post("/v1/runs", json={"input": TICKET, "background": True}).json()["data"][
        "id"
    ]
    path = f"/v1/runs/{run_id}/stream"
    response = gateway.get(path, headers={"Last-Event-ID": "2"})
    assert response.status_code == 303
    location = urlsplit(response.headers["location"])
    assert parse_qs(location.query)["after_sequence"] == ["2"]
    lines = httpx.get(response.headers["location"], timeout=30).text.splitlines()
    assert next(line for line in lines if line.startswith("id: ")) == "id: 3"
    # The ticket is good for this stream, and for nothing else.
    ticket = parse_qs(location.query)["ticket"][0]
    for other in (
        f"/v1/runs/{run_id}?ticket={ticket}",
        f"/v1/runs/{run_id}/events?ticket={ticket}",
        f"{path}?ticket={ticket[:-1]}x",
        f"{path}?ticket=",
    ):
        assert httpx.get(stack.base_url + other).status_code == 401


def test_a_run_that_takes_longer_than_the_door_waits_comes_back_as_accepted(
    gateway: TestClient,
) -> None:
    response = gateway.post("/v1/runs", json={"input": TICKET})
    assert response.status_code == 202
    run = response.json()["data"]
    assert response.headers["location"] == f"/v1/runs/{run['id']}"
    assert run["status"] in ("created", "started")
