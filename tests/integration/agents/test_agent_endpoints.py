"""Test `GET /v1/agents` and `/v1/agents/{name}` at both endpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.app_server import ENDPOINTS, endpoint_client

# No response contains this text.
SECRET = "CANARY"
FILES = {
    "routes.yaml": f"""
main:
  model: openai:large
  base_url: https://user:{SECRET}@models.example.com/v1
  api_key_secret: runyard/{SECRET}
  extra_headers: {{ X-Team: "{SECRET}" }}
  extra_body: {{ tag: "{SECRET}" }}
other: {{ model: "anthropic:small", api_key_variable: {SECRET} }}
""",
    "mcp.yaml": f"""
desk:
  url: https://user:{SECRET}@desk.example.com/mcp
  headers: {{ X-Team: "{SECRET}" }}
  trust_hints: true
""",
    "clerk.yaml": f"""
key: clerk
version: "2"
description: Pays bills.
route: main
fallback: [other]
instructions: The password is {SECRET}.
prompt: "{SECRET}: {{{{ input.bill }}}}"
input_schema: {{ type: object, properties: {{ bill: {{ type: string }} }}, required: [bill] }}
output_schema: {{ type: object, properties: {{ paid: {{ type: boolean }} }} }}
tools:
  - kind: http
    name: pay
    description: Pays.
    method: POST
    url: https://user:{SECRET}@bank.example.com/{SECRET}
    headers: {{ Authorization: "Bearer {SECRET}" }}
    parameters: &pay {{ type: object, properties: {{ amount: {{ type: number }} }} }}
    effect: unsafe
    approval:
      prompt: "{SECRET}?"
      when: {{ amount: {{ above: 20 }} }}
      editable: [amount]
      expires_in: 60
      on_expiry: deny
  - kind: python
    name: look
    description: Looks.
    function: {SECRET.lower()}:look
    effect: none
  - kind: lambda
    name: send
    description: Sends.
    function: {SECRET}
    effect: idempotent
    approval: always
  - kind: ask_human
  - kind: mcp
    server: desk
    include: ["*"]
    exclude: [delete]
    effect: hints
    approval: hints
    overrides: {{ close: {{ effect: idempotent, approval: always }} }}
limits: {{ steps: 7, usd: 0.25, on_limit: ask }}
""",
    "clerk-1.yaml": """
key: clerk
version: "1"
route: other
instructions: Pay.
input_schema: { type: object }
""",
    "own.yaml": f"""
key: own
version: "3"
kind: code
function: runyard-agent-{SECRET}
route: other
input_schema: {{ type: object }}
""",
}
EVERY_CALL = {"editable": [], "on_expiry": "keep_waiting"}
CLERK = {
    "name": "clerk",
    "version": "2",
    "versions": ["2", "1"],
    "is_default": True,
    "description": "Pays bills.",
    "kind": "dialogue",
    "route": "main",
    "provider": "openai",
    "model": "large",
    "fallback": [{"route": "other", "provider": "anthropic", "model": "small"}],
    "input_schema": {
        "type": "object",
        "properties": {"bill": {"type": "string"}},
        "required": ["bill"],
    },
    "output_schema": {"type": "object", "properties": {"paid": {"type": "boolean"}}},
    "tools": [
        {
            "kind": "http",
            "name": "pay",
            "description": "Pays.",
            "parameters": {"type": "object", "properties": {"amount": {"type": "number"}}},
            "effect": "unsafe",
            "approval": {
                "when": {"amount": {"above": 20}},
                "editable": ["amount"],
                "expires_in": 60,
                "on_expiry": "deny",
            },
        },
        {
            "kind": "python",
            "name": "look",
            "description": "Looks.",
            "parameters": {"type": "object", "properties": {}},
            "effect": "none",
        },
        {
            "kind": "lambda",
            "name": "send",
            "description": "Sends.",
            "parameters": {"type": "object", "properties": {}},
            "effect": "idempotent",
            "approval": EVERY_CALL,
        },
        {
            "kind": "mcp",
            "server": "desk",
            "include": ["*"],
            "exclude": ["delete"],
            "effect": "hints",
            "approval": "hints",
            "overrides": {"close": {"effect": "idempotent", "approval": EVERY_CALL}},
        },
    ],
}
LIMITS = {"steps": 7, "usd": 0.25, "on_limit": "ask"}


@pytest.fixture(scope="module", params=ENDPOINTS)
def endpoint(
    stack: DevStack, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """Yield a client of each endpoint, with the agents of `FILES`."""
    folder = tmp_path_factory.mktemp("agents")
    for name, text in FILES.items():
        Path(folder, name).write_text(text, encoding="utf-8")
    settings = {"agents_dir": str(folder), "default_agent": "clerk", "default_persona": "clerk"}
    with endpoint_client(stack, request.param, **settings) as client:
        yield client


@pytest.fixture
def keys(stores: Stores) -> Any:
    """Return a function that creates a key, and returns its header."""

    def create(**terms: Any) -> dict[str, str]:
        secret = f"ry_{new_id()}"
        terms = {"project_id": secret, "org_id": secret, **terms}
        stores.access_keys.save(secret, **terms)
        return {"Authorization": f"Bearer {secret}"}

    return create


def get(client: TestClient, path: str, headers: dict[str, str] | None = None) -> Any:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    assert SECRET not in response.text
    assert SECRET.lower() not in response.text
    return response.json()


def names(client: TestClient, headers: dict[str, str]) -> list[tuple[str, list[str]]]:
    data = get(client, "/v1/agents", headers)["data"]
    return [(agent["name"], agent["versions"]) for agent in data]


def test_an_agent_has_what_a_caller_needs_and_no_secrets(endpoint: TestClient) -> None:
    agent = get(endpoint, "/v1/agents/clerk")["data"]
    limits = agent.pop("limits")
    assert limits.items() >= LIMITS.items()
    assert "tokens" not in limits
    assert agent["tools"].pop(3)["name"] == "ask_human"
    assert agent == CLERK


def test_the_tool_that_asks_a_person_changes_nothing(endpoint: TestClient) -> None:
    tool = get(endpoint, "/v1/agents/clerk")["data"]["tools"][3]
    assert (tool["kind"], tool["effect"]) == ("ask_human", "none")
    assert tool["parameters"]["required"] == ["prompt"]
    assert "approval" not in tool


def test_each_version_can_be_read(endpoint: TestClient) -> None:
    old, new = (get(endpoint, f"/v1/agents/clerk@{version}")["data"] for version in "12")
    assert (old["version"], old["model"], old["is_default"]) == ("1", "small", False)
    assert old["versions"] == new["versions"] == ["2", "1"]
    assert "output_schema" not in old
    assert old["tools"] == []
    assert new == get(endpoint, "/v1/agents/clerk")["data"]


def test_an_agent_of_own_code_is_marked(endpoint: TestClient) -> None:
    agent = get(endpoint, "/v1/agents/own")["data"]
    assert (agent["kind"], agent["is_default"], agent["tools"]) == ("code", False, [])


def test_agents_are_listed_by_name_in_their_newest_versions(endpoint: TestClient) -> None:
    listed = get(endpoint, "/v1/agents")
    assert [(agent["name"], agent["version"]) for agent in listed["data"]] == [
        ("clerk", "2"),
        ("own", "3"),
    ]
    for agent in listed["data"]:
        assert agent == get(endpoint, f"/v1/agents/{agent['name']}")["data"]
    pages = [get(endpoint, f"/v1/agents?page_size=1&page={page}") for page in (1, 2, 3)]
    assert [[agent["name"] for agent in page["data"]] for page in pages] == [["clerk"], ["own"], []]
    assert pages[0]["pagination"] == {
        **{"page": 1, "page_size": 1, "page_count": 2, "total_count": 2}
    }


@pytest.mark.parametrize(
    ("own", "listed", "readable", "hidden", "default"),
    [
        ("own", [("own", ["3"])], ["own", "own@3"], ["clerk", "clerk@1"], "own@3"),
        ("clerk", [("clerk", ["2", "1"])], ["clerk", "clerk@1"], ["own", "own@3"], "clerk@2"),
        ("clerk@1", [("clerk", ["1"])], ["clerk@1"], ["clerk", "clerk@2", "own"], "clerk@1"),
        ("removed", [], [], ["removed", "clerk", "own"], None),
    ],
)
def test_a_key_with_an_agent_sees_only_this_agent(
    endpoint: TestClient,
    keys: Any,
    own: str,
    listed: list[tuple[str, list[str]]],
    readable: list[str],
    hidden: list[str],
    default: str | None,
) -> None:
    headers = keys(agent=own)
    assert names(endpoint, headers) == listed
    for name in readable:
        assert get(endpoint, f"/v1/agents/{name}", headers)["data"]["versions"] == listed[0][1]
    for name in hidden:
        assert endpoint.get(f"/v1/agents/{name}", headers=headers).status_code == 404
    defaults = [
        f"{agent['name']}@{agent['version']}"
        for agent in get(endpoint, "/v1/agents", headers)["data"]
        if agent["is_default"]
    ]
    assert defaults == ([default] if default else [])
    # The personas of the Threads API are the same agents.
    personas = get(endpoint, "/threads/v1/personas", headers)
    versions = [f"{name}@{version}" for name, all_of in listed for version in all_of]
    assert [persona["persona_id"] for persona in personas] == versions


def test_each_listed_agent_can_be_used(endpoint: TestClient, keys: Any) -> None:
    """Create a run of each version: the list and the create have one rule."""
    headers = keys(agent="clerk")
    for name in ("clerk", "clerk@1", "clerk@2"):
        body = {"input": {"bill": "x"}, "agent": name, "background": True}
        created = endpoint.post("/v1/runs", json=body, headers=headers).json()["data"]
        assert created["agent"] == (name if "@" in name else "clerk@2")
        assert endpoint.post(f"/v1/runs/{created['id']}/cancel", headers=headers).status_code in (
            200,
            421,
        )


def test_an_organization_key_needs_no_project(endpoint: TestClient, keys: Any) -> None:
    assert len(names(endpoint, keys(project_id=""))) == 2


def test_unknown_agents_and_parameters_are_rejected(endpoint: TestClient) -> None:
    for name in ("x", "clerk@3", "clerk@", "@1", "Clerk", "%00", "cl%2Ferk"):
        assert endpoint.get(f"/v1/agents/{name}").status_code == 404
    for path, known in (
        ("/v1/agents?versions=1", "; known: page, page_size"),
        ("/v1/agents/own?versions=1", ""),
    ):
        rejected = endpoint.get(path)
        assert rejected.status_code == 400
        details = rejected.json()["error"]["details"]
        assert details == {"versions": f"is not a known parameter{known}"}
