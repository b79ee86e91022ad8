"""The TypeScript client and the service: lost responses, and redirects in Node and Chromium."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.app_server import make_services, running_app
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.lossy_proxy import LossyProxy
from tests.support.service import Service
from tests.support.typescript_client import BUILT, needs_client, run

pytestmark = needs_client
HERE = Path(__file__).parent
_NOT_FORWARDED = ("host", "connection", "content-length", "transfer-encoding")


@pytest.fixture
def key(stores: Stores) -> str:
    """A key of a new project."""
    secret = f"ry_test_{new_id()}"
    stores.access_keys.save(secret, project_id=f"project-{new_id()}", org_id="org")
    return secret


def test_each_write_exists_once_if_its_first_response_is_lost(service: Service, key: str) -> None:
    proxy = LossyProxy(service.base_url)
    with LoopbackServer(proxy) as server:
        done = run("node", str(HERE / "lost_responses.mjs"), server.url, key)
    printed = json.loads(done.stdout)
    assert printed["output"]["category"] == "billing"
    del printed["output"]
    assert printed == {
        "runs": ["canceled", "completed", "completed"],
        "answers": 1,
        "threads": ["June invoice"],
        "messages": ["user", "assistant"],
        "webhooks": 1,
    }
    # 13 writes at least, and the reads.
    assert proxy.lost > 13


@dataclass
class Redirecting:
    """An API endpoint that redirects streams, and the requests of its streaming endpoint."""

    api_url: str
    stream: LoopbackServer


def _forward(base_url: str) -> Any:
    def answer(request: Received, exchange: Exchange) -> None:
        headers = {n: v for n, v in request.headers.items() if n not in _NOT_FORWARDED}
        response = httpx.request(request.method, base_url + request.path, headers=headers)
        sent = {n: v for n, v in response.headers.items() if n not in _NOT_FORWARDED}
        exchange.send(response.status_code, response.content, sent)

    return answer


@pytest.fixture(scope="module")
def redirecting(stack: DevStack) -> Iterator[Redirecting]:
    """Run both endpoints as on AWS, at two origins."""
    with (
        running_app(make_services(stack, endpoint="stream")) as stream_url,
        LoopbackServer(_forward(stream_url)) as stream,
        running_app(make_services(stack, stream_url=stream.url)) as api_url,
    ):
        yield Redirecting(api_url, stream)


@pytest.fixture(scope="module")
def ended(service: Service) -> dict[str, Any]:
    """An ended run."""
    run = service.create({"ticket_subject": "Export is broken"})
    return service.wait(run["id"], "completed")


def _assert_walked(result: dict[str, Any], service: Service, run_id: str) -> None:
    events = service.events(run_id)
    assert result["sequences"] == [event["sequence"] for event in events[2:]]
    assert result["withoutDeltas"] == [
        event["type"] for event in events if not event["type"].endswith(".delta")
    ]
    assert result["kinds"][0] == "run"
    assert result["kinds"].count("event") == len(events)
    assert result["missing"] == "NotFound"


def test_node_sends_no_key_to_the_host_of_a_redirect(
    redirecting: Redirecting, service: Service, ended: dict[str, Any]
) -> None:
    redirecting.stream.received.clear()
    arguments = (redirecting.api_url, service.access_key, ended["id"])
    done = run("node", str(HERE / "redirects.mjs"), *arguments)
    _assert_walked(json.loads(done.stdout), service, ended["id"])
    received = redirecting.stream.received
    assert [request.path.partition("?")[0].rsplit("/")[-1] for request in received] == [
        "stream",
        "stream",
        "export",
    ]
    assert not [request for request in received if "authorization" in request.headers]


PAGE = """<!doctype html><script type="module">
  import { Runyard } from "/index.js";
  import { walk } from "/walk.mjs";
  const report = body => fetch("/result", { method: "POST", body });
  walk(new Runyard({ url: %s, key: %s }), %s).then(
    result => report(JSON.stringify(result)), error => report(error.stack));
</script>"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's package chromium")
def test_a_page_opens_streams_with_a_ticket_and_without_the_key(
    redirecting: Redirecting, service: Service, ended: dict[str, Any], tmp_path: Path
) -> None:
    redirecting.stream.received.clear()
    values = (redirecting.api_url, service.access_key, ended["id"])
    page = PAGE % tuple(map(json.dumps, values))

    results: Queue[bytes] = Queue()

    def serve(request: Received, exchange: Exchange) -> None:
        if request.path == "/result":
            results.put(request.body)
        modules = {"/index.js": BUILT, "/walk.mjs": HERE / "walk.mjs"}
        if module := modules.get(request.path):
            exchange.send(200, module.read_bytes(), {"content-type": "text/javascript"})
        else:
            exchange.send(200, page.encode(), {"content-type": "text/html"})

    with LoopbackServer(serve) as site, _chromium(site.url, tmp_path):
        result = results.get(timeout=60)
    _assert_walked(json.loads(result), service, ended["id"])
    received = [request for request in redirecting.stream.received if request.method == "GET"]
    streams = [request for request in received if "/stream?ticket=" in request.path]
    assert len(streams) == 2
    assert not [request for request in streams if "authorization" in request.headers]
    # The URL of the streaming endpoint came from GET /v1/me, not from a redirect.
    [export] = [request for request in received if request not in streams]
    assert export.path == f"/v1/runs/{ended['id']}/export"


@contextmanager
def _chromium(url: str, folder: Path) -> Iterator[None]:
    """Show a page in Chromium during the block."""
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--remote-debugging-port=0", f"--user-data-dir={folder}", url),
    ]
    with subprocess.Popen(
        command,
        env={**os.environ, "HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        try:
            yield
        finally:
            browser.terminate()
