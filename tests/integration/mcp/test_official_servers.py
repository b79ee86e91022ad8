"""Test the MCP client against servers of the official Python and TypeScript packages."""

import time
from collections.abc import Iterator

import httpx
import pytest

from runyard_service.agents.mcp.base import (
    InputRequired,
    Progress,
    ProtocolVersion,
    ReturnedFile,
    ToolResult,
)
from runyard_service.agents.tools.base import ToolError
from tests.support.mcp import McpClient
from tests.support.servers.authorization_server import AuthorizationServer
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.mcp_peers import (
    missing_python,
    peer,
    python_server,
)

ERAS: tuple[ProtocolVersion, ...] = ("2026-07-28", "2025-11-25")
# Each server with an era that it speaks. `python-json` sends no streams.
SERVED: list[tuple[str, ProtocolVersion]] = [
    *((name, era) for name in ("python", "python-json", "typescript-stateless") for era in ERAS),
    ("typescript-sessions", "2025-11-25"),
]
STATE_SECONDS = 0.2
PNG = bytes.fromhex("89504e470d0a1a0a")


@pytest.fixture(scope="module")
def python_url() -> Iterator[str]:
    """Run the Python server."""
    with peer("python") as url:
        yield url


@pytest.fixture(scope="module")
def python_json_url() -> Iterator[str]:
    """Run the Python server that sends no streams, and whose call states soon expire."""
    if missing := missing_python():
        pytest.skip(missing)
    with python_server("--json", "--state-seconds", str(STATE_SECONDS)) as url:
        yield url


@pytest.fixture(scope="module")
def sessions_url() -> Iterator[str]:
    """Run the TypeScript server that only knows sessions."""
    with peer("typescript-sessions") as url:
        yield url


@pytest.fixture(scope="module")
def stateless_url() -> Iterator[str]:
    """Run the TypeScript server of the newest version."""
    with peer("typescript-stateless") as url:
        yield url


@pytest.fixture
def url(request: pytest.FixtureRequest, name: str) -> str:
    """Return the URL of the server with this name."""
    fixtures = {
        "python": "python_url",
        "python-json": "python_json_url",
        "typescript-sessions": "sessions_url",
        "typescript-stateless": "stateless_url",
    }
    found: str = request.getfixturevalue(fixtures[name])
    return found


@pytest.mark.parametrize(("name", "era"), SERVED)
def test_tools_are_listed_and_called(url: str, era: ProtocolVersion) -> None:
    client = McpClient(url, {"protocol": era})

    listed = client.list()
    tools = {tool.name: tool for tool in listed.tools}

    assert listed.protocol == era
    assert not listed.dropped
    assert tools["add"].annotations["readOnlyHint"] is True
    assert tools["add"].output_schema is not None
    assert client.call(tools["add"], {"a": 1, "b": 2}, protocol=era) == ToolResult(
        '{"total": 3}', []
    )
    picture = client.call(tools["picture"], protocol=era)
    assert isinstance(picture, ToolResult)
    assert picture.files == [ReturnedFile("picture-1.png", "image/png", PNG)]


@pytest.mark.parametrize(("name", "era"), SERVED)
def test_failures_of_a_tool_reach_the_model(url: str, era: ProtocolVersion) -> None:
    client = McpClient(url, {"protocol": era})

    with pytest.raises(ToolError) as failed:
        client.call("fail", protocol=era)
    with pytest.raises(ToolError) as unknown:
        client.call("removed", protocol=era)

    assert (failed.value.code, failed.value.is_transient) == ("tool_error", False)
    assert unknown.value.code == "tool_gone"


@pytest.mark.parametrize(
    ("name", "era"),
    [
        ("python", "2026-07-28"),
        ("typescript-sessions", "2025-11-25"),
        ("typescript-stateless", "2026-07-28"),
    ],
)
def test_the_newest_era_is_detected_once(url: str, name: str, era: ProtocolVersion) -> None:
    client = McpClient(url)

    assert client.list().protocol == era
    assert list(client.environment.cache.protocols.values()) == [era]


@pytest.mark.parametrize(
    ("name", "era"),
    [
        ("python", "2026-07-28"),
        ("python", "2025-11-25"),
        ("typescript-sessions", "2025-11-25"),
    ],
)
def test_progress_is_reported(url: str, era: ProtocolVersion) -> None:
    reported: list[Progress] = []

    result = McpClient(url).call("count", {"to": 2}, protocol=era, on_progress=reported.append)

    assert isinstance(result, ToolResult)
    assert "done" in result.content
    assert reported == [Progress(1, 2, "number 1"), Progress(2, 2, "number 2")]


@pytest.mark.parametrize("name", ["python"])
@pytest.mark.parametrize("era", ERAS)
def test_blobs_are_files_and_links_are_not_followed(url: str, era: ProtocolVersion) -> None:
    result = McpClient(url).call("report", protocol=era)

    assert isinstance(result, ToolResult)
    assert result.files == [ReturnedFile("june.pdf", "application/pdf", b"pdf")]
    assert result.content.splitlines() == [
        "The report of June.",
        "[June](https://example.com/june)",
        "[file june.pdf, application/pdf, 3 bytes]",
    ]


def test_a_list_is_cached_as_long_as_the_server_allows(python_url: str) -> None:
    client = McpClient(python_url, {"protocol": "2026-07-28"})

    first, second = client.list(), client.list()
    client.now += first.ttl_seconds

    assert second is first
    assert first.ttl_seconds == 60
    assert client.list() is not first


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "typescript-stateless",
    ],
)
def test_a_person_is_asked_and_the_call_is_made_once(url: str) -> None:
    client = McpClient(url)

    asked = client.call("pay", {"order": "7"})
    assert isinstance(asked, InputRequired)
    ((key, params),) = asked.requests.items()
    answer = {key: {"action": "accept", "content": {"sure": True}}}
    paid = client.call(
        "pay", {"order": "7"}, input_responses=answer, request_state=asked.request_state
    )

    assert params["message"] == "Pay order 7?"
    assert params["requestedSchema"]["properties"]["sure"]["type"] == "boolean"
    assert isinstance(paid, ToolResult)
    assert "paid" in paid.content


def test_an_expired_state_is_reported_and_the_same_requests_come_again(
    python_json_url: str,
) -> None:
    client = McpClient(python_json_url)
    asked = client.call("pay", {"order": "8"})
    assert isinstance(asked, InputRequired)
    answer = {key: {"action": "decline"} for key in asked.requests}
    time.sleep(STATE_SECONDS + 0.1)

    with pytest.raises(ToolError) as caught:
        client.call(
            "pay", {"order": "8"}, input_responses=answer, request_state=asked.request_state
        )
    again = client.call("pay", {"order": "8"})

    assert caught.value.code == "invalid_request_state"
    assert isinstance(again, InputRequired)
    assert again.requests == asked.requests


def test_a_person_can_decline(python_url: str) -> None:
    client = McpClient(python_url)
    asked = client.call("pay", {"order": "8"})
    assert isinstance(asked, InputRequired)
    answer = {key: {"action": "decline"} for key in asked.requests}

    declined = client.call(
        "pay", {"order": "8"}, input_responses=answer, request_state=asked.request_state
    )

    assert isinstance(declined, ToolResult)
    assert "not paid: decline" in declined.content


def test_an_elicitation_on_a_stream_is_rejected_with_the_way_out(sessions_url: str) -> None:
    client = McpClient(sessions_url)

    with pytest.raises(ToolError) as caught:
        client.call("ask", protocol="2025-11-25")

    assert caught.value.code == "tool_error"
    assert "elicitation/create" in caught.value.message
    assert "2026-07-28" in caught.value.message


def test_an_elicitation_of_the_older_era_is_an_error_of_the_protocol(python_url: str) -> None:
    with pytest.raises(ToolError) as caught:
        McpClient(python_url).call("pay", {"order": "9"}, protocol="2025-11-25")

    assert caught.value.code == "mcp_error"
    assert "2026-07-28" in caught.value.message


def test_a_person_is_asked_to_open_an_address(sessions_url: str) -> None:
    asked = McpClient(sessions_url).call("connect", protocol="2025-11-25")

    assert isinstance(asked, InputRequired)
    assert asked.requests["connection-1"]["url"] == "https://example.com/connect"
    assert asked.requests["connection-1"]["mode"] == "url"


def test_an_ended_session_is_replaced(sessions_url: str) -> None:
    client = McpClient(sessions_url)
    client.call("add", {"a": 1, "b": 2}, protocol="2025-11-25")
    (before,) = client.environment.cache.sessions.values()

    httpx.post(sessions_url.replace("/mcp", "/forget")).raise_for_status()
    result = client.call("add", {"a": 1, "b": 2}, protocol="2025-11-25")

    (after,) = client.environment.cache.sessions.values()
    assert isinstance(result, ToolResult)
    assert before.id != after.id


@pytest.mark.parametrize(
    ("name", "era"), [served for served in SERVED if served[0] != "python-json"]
)
@pytest.mark.parametrize("finds_endpoint", [True, False])
def test_client_credentials_get_one_new_token_after_a_401(
    protected: tuple[str, AuthorizationServer], era: ProtocolVersion, finds_endpoint: bool
) -> None:
    url, authorization = protected
    token_url = {} if finds_endpoint else {"token_url": f"{authorization.url}/token"}
    auth = {"client_id": "runyard", "client_secret": "peer-secret", **token_url}
    client = McpClient(
        url,
        {"protocol": era, "auth": auth},
        other_hosts=(authorization.url.removeprefix("http://"),),
    )
    before = len(authorization.granted)

    client.list()
    client.call("add", {"a": 1, "b": 2}, protocol=era)
    assert len(authorization.granted) == before + 1
    authorization.revoked.add(f"token-{before + 1}")
    client.call("add", {"a": 3, "b": 4}, protocol=era)

    assert len(authorization.granted) == before + 2
    assert authorization.granted[-1]["resource"] == url


@pytest.fixture
def protected(name: str) -> Iterator[tuple[str, AuthorizationServer]]:
    """Run the server so that it accepts only tokens of an authorization server."""
    authorization = AuthorizationServer()
    with LoopbackServer(authorization) as server:
        authorization.url = server.url
        with peer(name, server.url) as url:
            yield url, authorization
