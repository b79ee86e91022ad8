"""The Python clients against the service: lost answers, waits, lists, files and webhooks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runyard import Conflict, KeyRefused, NotFound, RunCanceled, RunFailed, RunWaits, events
from runyard.client.core import retries
from runyard.client.models import Run
from tests.support.python_clients import EACH_PYTHON_CLIENT, PythonClient
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.losing_proxy import LosingProxy
from tests.support.service import Service, assert_whole
from tests.support.threads_service import ThreadsService

each_client = pytest.mark.parametrize("client", EACH_PYTHON_CLIENT)
TICKET = {"ticket_subject": "Export is broken"}
TWICE = {"ticket_subject": "Charged twice", "ticket_body": "My card was charged twice."}


@pytest.fixture
def losing(project: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, LosingProxy]]:
    """Yield the URL of a proxy that loses every first answer."""
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)
    proxy = LosingProxy(project.base_url)
    with LoopbackServer(proxy) as server:
        yield server.url, proxy


@each_client
@pytest.mark.usefixtures("samples")
def test_each_write_exists_once_although_each_answer_is_lost_once(
    project: Service, losing: tuple[str, LosingProxy], client: PythonClient
) -> None:
    url, proxy = losing
    key = project.access_key

    run = client(url, key, lambda c: c.runs.create(TICKET, files=[("a.txt", b"text")]))
    assert run.status == "completed"
    waiting = client(url, key, lambda c: c.runs.create(TWICE))
    assert waiting.status == "awaiting_input"
    client(url, key, lambda c: c.runs.approve(waiting.id, params={"amount": 45}))
    assert client(url, key, lambda c: c.runs.result(waiting.id))

    thread = client(url, key, lambda c: c.threads.create(title="once"))
    client(url, key, lambda c: c.threads.post(thread.id, "Hello"))
    answering = client(url, key, lambda c: c.threads.run(thread.id))
    client(url, key, lambda c: c.runs.cancel(answering))
    webhook = client(url, key, lambda c: c.webhooks.create("https://hooks.example.com/"))
    client(url, key, lambda c: c.webhooks.test(webhook.id))

    assert proxy.lost["POST"] == 10
    assert {each.id for each in client(url, key, lambda c: c.runs.list())} == {
        *(run.id, waiting.id, answering)
    }
    resolved = [
        event
        for event in project.events(waiting.id)
        if event["type"] == "approval_request.resolved"
    ]
    assert [event["data"]["effective_params"]["amount"] for event in resolved] == [45]
    assert [each.id for each in client(url, key, lambda c: c.threads.list())] == [thread.id]
    messages = client(url, key, lambda c: c.threads.messages(thread.id))
    assert [each.content for each in messages if each.role == "user"] == ["Hello"]
    assert len(client(url, key, lambda c: c.webhooks.list())) == 1
    assert len(client(url, key, lambda c: c.webhooks.deliveries(webhook.id))) == 1


@each_client
@pytest.mark.usefixtures("samples")
def test_a_stream_and_answers_to_its_events(service: Service, client: PythonClient) -> None:
    url, key = service.base_url, service.access_key
    run = client(url, key, lambda c: c.runs.create(TWICE, wait=False))
    assert run.status == "created"
    with pytest.raises(RunWaits) as waits:
        client(url, key, lambda c: c.runs.result(run.id))
    [request] = waits.value.run.input_requests
    assert request.type == "approval_request"
    client(url, key, lambda c: c.runs.approve(run.id, params={"amount": 45}))
    assert client(url, key, lambda c: c.runs.result(run.id, timeout=30))["category"] == "billing"

    seen = client(url, key, lambda c: c.runs.follow(run.id))
    assert_whole([dict(event.raw) for event in seen])
    assert isinstance(seen[-1], events.RunCompleted)
    assert [event.raw for event in seen] == service.events(run.id)
    later = client(url, key, lambda c: c.runs.follow(run.id, after=seen[-2].sequence))
    assert [event.sequence for event in later] == [seen[-1].sequence]
    assert client(url, key, lambda c: c.runs.follow(run.id, after=seen[-1].sequence)) == []
    assert client(url, key, lambda c: c.runs.events(run.id)) == seen
    without = [each for each in seen if "delta" not in each.type]
    assert client(url, key, lambda c: c.runs.events(run.id, after=1, deltas=False)) == without[1:]
    assert client(url, key, lambda c: c.runs.follow(run.id, deltas=False)) == without
    lines = client(url, key, lambda c: c.runs.export(run.id))
    assert len(lines) >= len(seen) + 2
    # A second, different answer.
    with pytest.raises(Conflict):
        client(url, key, lambda c: c.runs.refuse(run.id, "no", request_id=request.id))


@each_client
def test_outcomes(service: Service, threads_of_tests: ThreadsService, client: PythonClient) -> None:
    url, key = service.base_url, service.access_key
    run_id = threads_of_tests.start(threads_of_tests.thread("words"), persona_id="asker")
    threads_of_tests.wait(run_id, "waiting_for_input")
    with pytest.raises(ValueError, match="0 open requests of type approval_request"):
        client(url, key, lambda c: c.runs.approve(run_id))
    with pytest.raises(RunWaits):
        client(url, key, lambda c: c.runs.result(run_id, timeout=20))
    client(url, key, lambda c: c.runs.cancel(run_id))
    with pytest.raises(RunCanceled):
        client(url, key, lambda c: c.runs.result(run_id))
    client(url, key, lambda c: c.runs.delete(run_id))
    with pytest.raises(NotFound):
        client(url, key, lambda c: c.runs.get(run_id))
    with pytest.raises(NotFound):
        client(url, key, lambda c: c.runs.follow(run_id))
    failed = client(url, key, lambda c: c.runs.create({"ticket_subject": "The model fails"}))
    with pytest.raises(RunFailed, match="failed: model_rejected: "):
        client(url, key, lambda c: c.runs.result(failed.id))
    with pytest.raises(KeyRefused):
        client(url, "ry_wrong", lambda c: c.runs.list())


@each_client
def test_me(project: Service, client: PythonClient) -> None:
    me = client(project.base_url, project.access_key, lambda c: c.me())
    assert "runs:write" in me.scopes
    assert len(me.projects) == 1


@each_client
@pytest.mark.usefixtures("samples")
def test_agents_and_usage(project: Service, client: PythonClient) -> None:
    url, key = project.base_url, project.access_key
    agents = client(url, key, lambda c: c.agents.list())
    agent = client(url, key, lambda c: c.agents.get("support_triage"))
    assert agent in agents
    assert agent.input_schema["properties"]
    run = client(url, key, lambda c: c.runs.create(TICKET, agent="support_triage"))
    assert (run.agent, run.status) == (f"support_triage@{agent.version}", "completed")
    # The local stack of the tests counts nothing: it has no event sources.
    rows = client(url, key, lambda c: c.usage.get(from_="2026-11-01", by="agent"))
    assert {row.agent for row in rows} <= {agent.name}
    listed = client(
        url, key, lambda c: c.runs.list(agent=agent.name, started_after="2026-01-01T00:00:00Z")
    )
    assert [each.id for each in listed] == [run.id]


@each_client
def test_a_conversation(threads_of_tests: ThreadsService, client: PythonClient) -> None:
    url, key = threads_of_tests.base_url, threads_of_tests.access_key
    text = client(url, key, lambda c: c.threads.chat(persona_id="talker").ask("Hello"))
    assert text == "1: Hello"
    personas = client(url, key, lambda c: c.threads.personas())
    assert "talker@1" in {persona.persona_id for persona in personas}


@each_client
@pytest.mark.usefixtures("samples")
def test_lists_read_all_pages(project: Service, client: PythonClient) -> None:
    url, key = project.base_url, project.access_key
    created = [
        client(url, key, lambda c: c.runs.create(TICKET, user_id="anna", wait=False)).id
        for _ in range(5)
    ]
    for run_id in created:
        project.wait(run_id, "completed")
    listed: list[Run] = client(
        url, key, lambda c: c.runs.list(status=["completed"], user_id="anna", page_size=2)
    )
    assert [run.id for run in listed] == list(reversed(created))
    assert client(url, key, lambda c: c.runs.list(user_id="bert")) == []


@each_client
def test_a_large_file_goes_to_the_bucket(
    project: Service, client: PythonClient, tmp_path: Path
) -> None:
    large = tmp_path / 'large "file".bin'
    large.write_bytes(bytes(range(256)) * 20_000)
    file = client(project.base_url, project.access_key, lambda c: c.files.upload(large))
    assert (file.name, file.size) == ('large "file".bin', 5_120_000)
    run = client(
        project.base_url,
        project.access_key,
        lambda c: c.runs.create(TICKET, file_ids=[file.id], wait=False),
    )
    assert run.id
