"""A browser's `EventSource` in a web page: with a ticket, `onmessage`, and two interruptions."""

import os
import queue
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.servers.cutting_proxy import CuttingProxy
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.service import Service
from tests.support.threads_service import ThreadsService

# Follows a stream until the service closes it, then reports the received events.
PAGE = """<!doctype html><script>
  const seen = [];
  const source = new EventSource(new URLSearchParams(location.search).get("stream"));
  source.onmessage = event => {
    const {seq, type} = JSON.parse(event.data);
    seen.push({id: event.lastEventId, seq, type});
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED)
      fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
  };
</script>"""


class Page:
    """The server of the page, with another origin than the service."""

    def __init__(self) -> None:
        self.reports: queue.Queue[Any] = queue.Queue()

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Send the page, or receive its report."""
        if request.method == "POST":
            self.reports.put(request.json)
            exchange.send(204)
        elif request.path.startswith("/?"):
            exchange.send(200, PAGE.encode(), {"content-type": "text/html"})
        else:
            exchange.send(404)


@contextmanager
def browser(url: str, folder: Path) -> Iterator[None]:
    """Run Chromium with this page until the end of the block."""
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--remote-debugging-port=0", f"--user-data-dir={folder}", url),
    ]
    environment = {**os.environ, "HOME": str(folder)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.mark.usefixtures("threads_of_tests")
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's package chromium")
def test_an_interrupted_event_source_receives_every_event_once(
    service: Service, tmp_path: Path
) -> None:
    page = Page()
    with (
        ThreadsService(service.base_url, service.access_key) as threads,
        LoopbackServer(page) as site,
    ):
        run_id = threads.start(threads.thread("slowly"))
        ticket = urlsplit(threads.http.post(f"/runs/{run_id}/ticket").json()["url"])
        proxy = CuttingProxy(f"{ticket.scheme}://{ticket.netloc}", 15, 15)
        with LoopbackServer(proxy) as tunnel:
            through = ticket._replace(scheme="http", netloc=tunnel.host_and_port).geturl()
            with browser(f"{site.url}/?stream={through.replace('&', '%26')}", tmp_path):
                seen = page.reports.get(timeout=60)
        logged = service.events(run_id)
    assert [one["seq"] for one in seen] == [event["sequence"] for event in logged]
    assert [one["id"] for one in seen] == [str(event["sequence"]) for event in logged]
    assert seen[-1]["type"] == "run.completed"
    # It resumed from its position twice; the last request got 204, which closes it.
    assert proxy.cursors == ["", "15", "30", str(len(logged))]
