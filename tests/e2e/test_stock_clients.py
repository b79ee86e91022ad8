"""Stock clients, each in its own process: none misses or repeats an event.

Their connections are cut at any byte, closed at their maximum age, or go through nginx. All clients
follow the same run at the same time, to share its waits. The run requests input. The test answers
only when every client has reached the required position, so no test depends on time.
"""

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients import CLIENTS
from tests.clients.follower import Follower
from tests.support.app_server import make_services, running_app
from tests.support.deployed_stack import DeployedStack
from tests.support.servers.cutting_proxy import CuttingProxy
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.nginx import nginx, why_not
from tests.support.service import Service, assert_whole
from tests.support.threads_service import ThreadsService

# The stream of this run has about 35,000 bytes when a client connects first.
CUTS = 3
CUT_WITHIN_BYTES = 8000
SEED = os.environ.get("CUTS_SEED", "")


@dataclass
class StreamObserver:
    """A run and the clients that follow it; it collects the errors for the tests."""

    service: Service
    threads: ThreadsService
    run_id: str
    followers: Mapping[str, Follower]
    late: set[str] = field(default_factory=set)
    """Clients that did not receive every event before an answer."""

    def answer(self) -> None:
        """Answer the open input request when every client has received every event."""
        self.threads.wait(self.run_id, "waiting_for_input")
        logged = len(self.service.events(self.run_id))
        for name, follower in self.followers.items():
            if name not in self.late and not follower.has_seen(logged):
                self.late.add(name)
        answered = self.threads.http.post(f"/runs/{self.run_id}/input", json={"content": "yes"})
        assert answered.status_code == 200, answered.text

    def assert_seen_by(self, name: str) -> None:
        """Assert that the client received each event of the log once, in order, until the end."""
        follower = self.followers[name]
        assert name not in self.late
        assert follower.end() == 0
        events = self.service.events(self.run_id)
        assert_whole(events)
        assert follower.ids == [event["sequence"] for event in events]
        for (_, seen), event in zip(follower.seen, events, strict=True):
            assert seen == event or (seen["seq"], seen["created_at"]) == (
                event["sequence"],
                event["timestamp"],
            )


def is_installed(name: str) -> bool:
    return not CLIENTS[name].missing


def each_client(test: Any) -> Any:
    """Run the test for every client; skip missing clients with a hint on their installation."""
    parameters = [
        pytest.param(name, marks=pytest.mark.skipif(bool(client.missing), reason=client.missing))
        for name, client in CLIENTS.items()
    ]
    return pytest.mark.parametrize("name", parameters)(test)


@pytest.fixture(scope="module")
def threads(threads_of_tests: ThreadsService, deployed: DeployedStack | None) -> ThreadsService:
    if deployed:
        pytest.skip("the API endpoint redirects streams, and some of these clients do not follow")
    return threads_of_tests


@contextmanager
def following(
    service: Service, threads: ThreadsService, content: str, endpoints: Mapping[str, str]
) -> Iterator[StreamObserver]:
    """Start a run and every installed client, each with its own endpoint."""
    run_id = threads.start(threads.thread(content), persona_id="asker")
    ticket = threads.http.post(f"/runs/{run_id}/ticket").json()["url"]
    with ExitStack() as processes:
        followers = {}
        for name, endpoint in endpoints.items():
            client = CLIENTS[name]
            path = f"/v1/runs/{run_id}/stream"
            if client.threads_api:
                path = f"/threads/v1/runs/{run_id}/events"
            query = "" if client.sends_headers else f"?{urlsplit(ticket).query}"
            command = (*client.command, endpoint + path + query, threads.access_key)
            followers[name] = processes.enter_context(Follower(command))
        yield StreamObserver(service, threads, run_id, followers)


@pytest.fixture(scope="module")
def short_lived(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield an endpoint with a maximum connection age of 1 s; empty for a remote service."""
    if "BASE_URL" in os.environ:
        yield ""
        return
    stack = request.getfixturevalue("stack")
    with running_app(
        make_services(stack, stream_max_seconds=1, stream_heartbeat_seconds=0.3)
    ) as url:
        yield url


@dataclass
class Interrupted:
    """A run that clients followed through proxies, and the required number of aged connections."""

    run: StreamObserver
    proxies: Mapping[str, CuttingProxy]
    ages: int


@pytest.fixture(scope="module")
def interrupted(
    service: Service, threads: ThreadsService, short_lived: str
) -> Iterator[Interrupted]:
    """Cut each client three times before the first answer, and age it before the second."""
    proxies = {
        name: CuttingProxy(
            short_lived or service.base_url,
            *random.Random(SEED + name).sample(range(1, CUT_WITHIN_BYTES), CUTS),
            in_bytes=True,
        )
        for name in filter(is_installed, CLIENTS)
    }
    with ExitStack() as tunnels:
        endpoints = {
            name: tunnels.enter_context(LoopbackServer(proxy)).url
            for name, proxy in proxies.items()
        }
        with following(service, threads, "words", endpoints) as run:
            for ages in (0, int(bool(short_lived))):
                for name, proxy in proxies.items():
                    run.followers[name].wait(
                        lambda proxy=proxy, ages=ages: not proxy.cuts and proxy.aged >= ages  # type: ignore[misc]
                    )
                run.answer()
            yield Interrupted(run, proxies, ages)


@each_client
def test_an_interrupted_client_receives_every_event_once(
    interrupted: Interrupted, name: str
) -> None:
    interrupted.run.assert_seen_by(name)
    proxy = interrupted.proxies[name]
    assert (proxy.cuts, proxy.aged >= interrupted.ages) == ([], True)
    # It resumed from several positions.
    assert len(set(proxy.cursors)) > 2


@pytest.fixture(scope="module")
def through_nginx(
    service: Service, threads: ThreadsService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StreamObserver]:
    """Answer five times, each time after every client has received every event through nginx."""
    with nginx(service.base_url, tmp_path_factory.mktemp("nginx")) as url:
        endpoints = dict.fromkeys(filter(is_installed, CLIENTS), url)
        with following(service, threads, "five times", endpoints) as run:
            for _ in range(5):
                run.answer()
            yield run


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@each_client
def test_events_arrive_one_by_one_through_nginx_with_its_default_settings(
    through_nginx: StreamObserver, name: str
) -> None:
    through_nginx.assert_seen_by(name)
