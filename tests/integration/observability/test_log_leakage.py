"""Test that no process logs messages of people and models, or secrets."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.domain.ids import new_id
from tests.support.service import Service

WORD = "xylographer"
AGENT = """
key: listener
version: "1"
instructions: Say everything. xylographer-in-instructions
route: listener
input_schema: { type: object }
tools:
  - kind: http
    name: send
    description: What it says.
    method: POST
    url: ${CRM_URL}/refunds
    parameters: { type: object, properties: { order_id: { type: string } } }
    effect: unsafe
    approval: {}
  - kind: http
    name: fail
    description: What it says.
    url: ${CRM_URL}/customers/{customer_id}
    parameters: { type: object, properties: { customer_id: { type: string } } }
    effect: none
  - { kind: ask_human, name: ask }
"""
SCRIPT = """
dialogues:
  - name: listener
    turns:
      - think: xylographer-in-thoughts
        say: xylographer-in-response
        call:
          - { tool: fail, input: { customer_id: xylographer-in-a-failing-call } }
          - { tool: nothing, input: { x: xylographer-for-no-tool } }
          - { tool: send, input: { order_id: xylographer-in-arguments } }
          - { tool: ask, input: { prompt: xylographer-in-a-prompt } }
      - say: "{{ results.ask.content }}"
"""


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[DevStack]:
    """Yield a stack with the most verbose logging."""
    agents = tmp_path / "agents"
    (agents / "scripts").mkdir(parents=True)
    (agents / "listener.yaml").write_text(AGENT, encoding="utf-8")
    (agents / "routes.yaml").write_text(
        'listener: { model: "scripted:listener" }', encoding="utf-8"
    )
    (agents / "scripts" / "listener.yaml").write_text(SCRIPT, encoding="utf-8")
    with DevStack.start(
        data_dir=tmp_path / "data",
        agents_dir=agents,
        environment={
            "LOG_LEVEL": "DEBUG",
            "DEFAULT_AGENT": "listener",
            "DEFAULT_PERSONA": "listener",
        },
        key=f"ry_{new_id()}",
    ) as running:
        yield running


def test_no_process_writes_run_content_or_secrets_to_its_output(
    talkative: DevStack, tmp_path: Path
) -> None:
    service, stores = (
        Service(talkative.base_url, talkative.access_key),
        stores_of(talkative.environment),
    )
    wrong_key = f"ry_{new_id()}"
    run = service.create({"said": f"{WORD}-in-input", "long": WORD * 20_000}, user_id="user-1")
    assert run["status"] == "awaiting_input"
    token = stores.input_requests.token(run["id"])
    assert token
    ticket = service.http.post(f"/v1/runs/{run['id']}/ticket").json()["data"]["url"]
    with httpx.Client() as browser:
        with browser.stream("GET", ticket) as stream:
            assert any(WORD in text for text in stream.iter_text())
        # Failed requests are logged.
        bad = {"Authorization": f"Bearer {wrong_key}"}
        assert browser.get(f"{talkative.base_url}/v1/runs", headers=bad).status_code == 401
        stolen = ticket.replace(run["id"], new_id(), 1)
        assert browser.get(stolen).status_code == 401
    for body in (f'{{"input": "{WORD}', f'{{"{WORD}": 1}}'):
        headers = {"Content-Type": "application/json"}
        rejected = service.http.post("/v1/runs", content=body, headers=headers)
        assert rejected.status_code == 400
    for request in list(run["input_requests"]):
        data = {"request_id": request["id"], "feedback": f"{WORD}-in-an-answer"}
        if request["type"] == "approval_request":
            data |= {"is_approved": True, "params": {}}
        body = {"type": request["type"], "data": data}  # type: ignore[assignment]
        assert service.http.post(f"/v1/runs/{run['id']}/input", json=body).status_code == 200
    assert f"{WORD}-in-an-answer" in str(service.wait(run["id"], "completed")["output"])
    service.close()
    talkative.sweep({"everything": True})
    talkative.stop()

    logs = {
        file.name: file.read_text("utf-8", "replace") for file in (tmp_path / "data/logs").iterdir()
    }
    # The files exist and are not empty.
    assert '"message":"swept"' in logs["lambda.log"]
    assert "web.log" in logs
    secrets = {
        "a word": WORD,
        "the key": talkative.access_key,
        "a wrong key": wrong_key,
        "a ticket": parse_qs(urlsplit(ticket).query)["ticket"][0].rpartition(".")[2],
        "a task token": token,
    }
    found = [
        (name, what, text[max(0, text.index(secret) - 200) :][:300])
        for name, text in logs.items()
        for what, secret in secrets.items()
        if secret in text
    ]
    assert found == []
