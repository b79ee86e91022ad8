"""Stock clients, each a process of its own: cut anywhere, aged, through nginx, none of them misses
or repeats an event.

All follow one run at the same time, so that their waits are one. It asks questions, and is answered
only when every client has been where the test wants it: nothing here depends on time.
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

# Of some 35,000 bytes that a stream of this run has when it is first connected to.
CUTS = 3
CUT_WITHIN_BYTES = 8000
SEED = os.environ.get("CUTS_SEED", "")


@dataclass
class StreamObserver:
    """A run and the clients that follow it. What went wrong on the way is told by the tests."""

    service: Service
    threads: ThreadsService
    run_id: str
    followers: Mapping[str, Follower]
    late: set[str] = field(default_factory=set)
    """Clients that did not see what was there before an answer was given."""

    def answer(self) -> None:
        """Answer the run's question, once every client has seen all that is there."""
        self.threads.wait(self.run_id, "waiting_for_input")
        logged = len(self.service.events(self.run_id))
        for name, follower in self.followers.items():
            if name not in self.late and not follower.has_seen(logged):
                self.late.add(name)
        answered = self.threads.http.post(f"/runs/{self.run_id}/input", json={"content": "yes"})
        assert answered.status_code == 200, answered.text

    def assert_seen_by(self, name: str) -> None:
        """This client came to the end, and saw what the log has: each event once, in order."""
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


def here(name: str) -> bool:
    return not CLIENTS[name].missing


def each_client(test: Any) -> Any:
    """The test once for every client; skipped, and told how to get it, where it is not here."""
    marks = [
        pytest.param(name, marks=pytest.mark.skipif(bool(client.missing), reason=client.missing))
        for name, client in CLIENTS.items()
    ]
    return pytest.mark.parametrize("name", marks)(test)


@pytest.fixture(scope="module")
def threads(threads_of_tests: ThreadsService, deployed: DeployedStack | None) -> ThreadsService:
    if deployed:
        pytest.skip("the API's door sends streams on, and not each of these clients goes there")
    return threads_of_tests


@contextmanager
def following(
    service: Service, threads: ThreadsService, content: str, doors: Mapping[str, str]
) -> Iterator[StreamObserver]:
    """A new run, and every client that is here at its own door."""
    run_id = threads.start(threads.thread(content), persona_id="asker")
    ticket = threads.http.post(f"/runs/{run_id}/ticket").json()["url"]
    with ExitStack() as processes:
        followers = {}
        for name, door in doors.items():
            client = CLIENTS[name]
            path = f"/v1/runs/{run_id}/stream"
            if client.threads_api:
                path = f"/threads/v1/runs/{run_id}/events"
            query = "" if client.sends_headers else f"?{urlsplit(ticket).query}"
            command = (*client.command, door + path + query, threads.access_key)
            followers[name] = processes.enter_context(Follower(command))
        yield StreamObserver(service, threads, run_id, followers)


@pytest.fixture(scope="module")
def short_lived(request: pytest.FixtureRequest) -> Iterator[str]:
    """A door whose connections age in a second; empty where the service is somewhere else."""
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
    """The run that was followed through proxies, and how often their connections had to age."""

    run: StreamObserver
    proxies: Mapping[str, CuttingProxy]
    ages: int


@pytest.fixture(scope="module")
def interrupted(
    service: Service, threads: ThreadsService, short_lived: str
) -> Iterator[Interrupted]:
    """Each client is cut three times before the first answer, and aged before the second."""
    proxies = {
        name: CuttingProxy(
            short_lived or service.base_url,
            *random.Random(SEED + name).sample(range(1, CUT_WITHIN_BYTES), CUTS),
            in_bytes=True,
        )
        for name in filter(here, CLIENTS)
    }
    with ExitStack() as tunnels:
        doors = {
            name: tunnels.enter_context(LoopbackServer(proxy)).url
            for name, proxy in proxies.items()
        }
        with following(service, threads, "words", doors) as run:
            for ages in (0, int(bool(short_lived))):
                for name, proxy in proxies.items():
                    run.followers[name].wait(
                        lambda proxy=proxy, ages=ages: not proxy.cuts and proxy.aged >= ages  # type: ignore[misc]
                    )
                run.answer()
            yield Interrupted(run, proxies, ages)


@each_client
def test_a_client_that_is_cut_anywhere_and_aged_sees_every_event_once(
    interrupted: Interrupted, name: str
) -> None:
    interrupted.run.assert_seen_by(name)
    proxy = interrupted.proxies[name]
    assert (proxy.cuts, proxy.aged >= interrupted.ages) == ([], True)
    # It was at several places when it came back.
    assert len(set(proxy.cursors)) > 2


@pytest.fixture(scope="module")
def through_nginx(
    service: Service, threads: ThreadsService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StreamObserver]:
    """Five answers; each is given only when what is before it has come through to every client."""
    with nginx(service.base_url, tmp_path_factory.mktemp("nginx")) as url:
        doors = dict.fromkeys(filter(here, CLIENTS), url)
        with following(service, threads, "five times", doors) as run:
            for _ in range(5):
                run.answer()
            yield run


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@each_client
def test_events_come_one_by_one_through_nginx_as_it_is(
    through_nginx: StreamObserver, name: str
) -> None:
    through_nginx.assert_seen_by(name)
