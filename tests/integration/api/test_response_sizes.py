"""No response of the API endpoint is larger than Lambda's limit: it ends early, or names a way."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from mangum import Mangum
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.api.response_size import LAMBDA_RESPONSE_BYTES, escaped_size
from runyard_service.domain.clock import timestamp
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services
from tests.support.run_factory import create_run

MEGABYTE = 1_000_000
Call = Callable[..., Any]


@pytest.fixture
def project(stores: Stores) -> str:
    """Return a project of its own, whose key is `ry_` and its id."""
    project = f"large-{new_id()}"
    stores.access_keys.save(f"ry_{project}", project_id=project, org_id=project, agent="talker")
    return project


@pytest.fixture
def call(stack: DevStack, project: str) -> Iterator[Call]:
    """Yield a function that sends a request as API Gateway does, and returns Lambda's result."""
    app = app_with(make_services(stack, stream_url=stack.base_url))
    event = json.loads(Path("events/api/health.json").read_text(encoding="utf-8"))
    # Mangum uses the loop of the thread. Otherwise it would create a loop, and never close it.
    with closing(asyncio.new_event_loop()) as loop, TestClient(app) as running:
        asyncio.set_event_loop(loop)
        handle = Mangum(app, lifespan="off")

        def send(target: str, method: str = "GET", body: Any = None) -> Any:
            url = urlsplit(target)
            context = {**event["requestContext"], "http": {**event["requestContext"]["http"]}}
            context["http"] |= {"method": method, "path": url.path}
            headers = {"authorization": f"Bearer ry_{project}", "host": "api.test"}
            sent = {**event, "requestContext": context, "headers": headers, "rawPath": url.path}
            sent |= {"rawQueryString": url.query, "body": json.dumps(body) if body else ""}
            answer = handle(sent, object())  # type: ignore[arg-type]
            size = len(json.dumps(answer, ensure_ascii=False).encode())
            assert size <= LAMBDA_RESPONSE_BYTES
            return answer

        assert running.get("/v1/health").status_code == 200
        yield send
        asyncio.set_event_loop(None)


def ended_run(stores: Stores, project: str, text: str, **fields: Any) -> str:
    at = timestamp()
    fields |= {"status": "completed", "ended_at": at, "started_at": at}
    fields |= {"input": {"content": text}, "project_id": project, "org_id": project}
    return create_run(stores, **fields).id


def error_of(answer: Any, status: int) -> dict[str, str]:
    assert answer["statusCode"] == status
    body = json.loads(answer["body"])
    details: dict[str, str] = body.get("error", body)["details"]
    return details


# Each text fits the endpoint, or does so only before Lambda escapes it.
@pytest.mark.parametrize("text", ["x" * 5_900_000, '"' * 2_800_000, "\\" * 2_800_000])
def test_a_large_run_is_redirected_and_a_large_page_rejected(
    stores: Stores, project: str, call: Call, text: str
) -> None:
    ids = [ended_run(stores, project, text, output={"content": text}) for _ in range(2)]
    answer = call(f"/v1/runs/{ids[0]}")
    assert answer["statusCode"] == 303
    run = httpx.get(answer["headers"]["location"], timeout=60).json()["data"]
    assert (run["id"], run["input"]["content"]) == (ids[0], text)
    ticket = answer["headers"]["location"].partition("?")[2]
    forwarded = call(f"/v1/runs/{ids[0].upper()}?{ticket}")
    assert forwarded["statusCode"] in (200, 303)
    for size in (1, 2):
        details = error_of(call(f"/v1/runs?page_size={size}"), 413)
        assert "set a smaller page_size, or send the request to http" in details["page_size"]


def test_pages_that_fit_are_complete(stores: Stores, project: str, call: Call) -> None:
    ids = {ended_run(stores, project, "x" * 2 * MEGABYTE) for _ in range(4)}
    seen = set()
    for page in (1, 2):
        answer = call(f"/v1/runs?page_size=2&page={page}")
        body = json.loads(answer["body"])
        assert body["pagination"]["total_count"] == 4
        seen |= {run["id"] for run in body["data"]}
    assert seen == ids
    assert "page_size" in error_of(call("/v1/runs?page_size=4"), 413)


def test_events_with_large_payloads(stores: Stores, project: str, call: Call) -> None:
    run_id = ended_run(stores, project, "x")
    data = {"delta": '"' * MEGABYTE}
    stores.log.append(run_id, 0, [NewEvent("agent.response.delta", data)] * 3)
    assert "page_size" in error_of(call(f"/v1/runs/{run_id}/events"), 413)
    events = [
        json.loads(call(f"/v1/runs/{run_id}/events?page_size=1&page={page}")["body"])["data"][0]
        for page in (1, 2, 3)
    ]
    assert [event["sequence"] for event in events] == [1, 2, 3]


def test_a_page_of_messages_ends_early_and_links_to_the_rest(
    stores: Stores, project: str, call: Call
) -> None:
    created = call("/threads/v1/threads", "POST")
    thread_id = json.loads(created["body"])["id"]
    for number in range(30):
        stores.messages.add(thread_id, "user", f"{number}" + '"' * 250_000)
    target, sizes, seen = f"/threads/v1/threads/{thread_id}/messages?limit=1000", [], []
    while target:
        answer = call(target)
        rows = json.loads(answer["body"])
        sizes.append(len(rows))
        seen += [row["content"].rstrip('"') for row in rows]
        link = re.search(r"<https?://[^/]+([^>]+)>", answer["headers"].get("link", ""))
        target = link[1] if link else ""
    assert seen == [str(number) for number in range(30)]
    assert max(sizes) < 30


def test_a_create_whose_response_is_too_large_is_redirected(project: str, call: Call) -> None:
    body = {"input": {"content": '"' * 2_900_000}, "background": True}
    answer = call("/v1/runs", "POST", body)
    assert answer["statusCode"] == 303
    run_id = urlsplit(answer["headers"]["location"]).path.rpartition("/")[2]
    assert call(f"/v1/runs/{run_id}/cancel", "POST")["statusCode"] == 200


@pytest.mark.parametrize("text", ["x", '"', "\\", "\n", "\u2028", "\u6f22", "\x7f", "\x01"])
def test_the_size_counts_the_escapes_of_lambda(text: str) -> None:
    body = json.dumps({"x": text * 50}, ensure_ascii=False)
    inside = json.dumps(body, ensure_ascii=False)
    assert len(inside.encode()) == escaped_size(body.encode()) + len('""')
