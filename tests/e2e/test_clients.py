"""Unmodified clients: `requests`, Node's `fetch`, and a web page in a browser."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.service import Service

TICKET = {"ticket_subject": "Export is broken"}

# For Node and the browser: start a run, read its stream to the end, and get an error once.
SCRIPT = """
async function walk(base, key) {
  const headers = {Authorization: `Bearer ${key}`, "Content-Type": "application/json"};
  const body = JSON.stringify({input: {ticket_subject: "Export is broken"}, background: true});
  const created = await fetch(`${base}/v1/runs`, {method: "POST", headers, body});
  const run = (await created.json()).data;
  const stream = await fetch(`${base}/v1/runs/${run.id}/stream`, {headers});
  const text = await stream.text();
  const rejected = await fetch(`${base}/v1/runs`, {headers: {Authorization: "Bearer wrong"}});
  return {
    created: created.status,
    location: created.headers.get("location"),
    events: [...text.matchAll(/^event: (.*)$/gm)].map(found => found[1]),
    rejected: rejected.status,
    error: (await rejected.json()).error.code,
    requestId: Boolean(rejected.headers.get("x-request-id")),
  };
}
"""


def assert_walked(result: dict[str, Any]) -> None:
    assert result["created"] == 202
    assert result["location"].startswith("/v1/runs/")
    assert result["events"][0] == "run.started"
    assert result["events"][-1] == "run.completed"
    assert (result["rejected"], result["error"]) == (401, "unauthorized")
    assert result["requestId"]


def test_requests(service: Service) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {service.access_key}"
        run = session.post(f"{service.base_url}/v1/runs", json={"input": TICKET}).json()["data"]
        assert run["status"] == "completed"
        url = f"{service.base_url}/v1/runs/{run['id']}/stream"
        with session.get(url, stream=True) as stream:
            lines = [line.decode() for line in stream.iter_lines()]
    assert [line for line in lines if line.startswith("event: ")][-1] == "event: run.completed"


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node 18 or newer (nodejs)")
def test_fetch_in_node(service: Service) -> None:
    script = SCRIPT + "walk(...process.argv.slice(1)).then(r => console.log(JSON.stringify(r)))"
    command = ["node", "-e", script, service.base_url, service.access_key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert_walked(json.loads(done.stdout))


@pytest.fixture
def page(service: Service) -> Iterator[str]:
    """Yield the URL of a page of another origin, which writes its result into its document."""
    arguments = f"{json.dumps(service.base_url)}, {json.dumps(service.access_key)}"
    html = f"""<!doctype html><pre id="out">nothing</pre><script>{SCRIPT}
        const out = document.getElementById("out");
        walk({arguments}).then(
            result => out.textContent = JSON.stringify(result), error => out.textContent = error);
        </script>"""

    def serve(_: Received, exchange: Exchange) -> None:
        exchange.send(200, html.encode(), {"content-type": "text/html"})

    with LoopbackServer(serve) as server:
        yield server.url


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's package chromium")
def test_fetch_in_a_browser(page: str, tmp_path: Path) -> None:
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000"),
        *("--dump-dom", page),
    ]
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=True, env=environment
    )
    written = done.stdout.partition('<pre id="out">')[2].partition("</pre>")[0]
    assert_walked(json.loads(written))
