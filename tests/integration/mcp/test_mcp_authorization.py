"""Test which tokens the MCP client gets, and which requests contain them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from runyard_service.agents.mcp.connection import Connection
from runyard_service.agents.tools.base import ToolError
from runyard_service.outbound.messages import OutgoingRequest
from tests.support.mcp import McpClient
from tests.support.servers.authorization_server import AuthorizationServer
from tests.support.servers.fake_mcp_server import FakeMcpServer
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

CREDENTIALS = {"client_id": "runyard", "client_secret": "peer-secret"}


class Protected(FakeMcpServer):
    """An MCP server that accepts only some tokens."""

    def __init__(self) -> None:
        """Accept no token yet."""
        super().__init__()
        self.accepted: set[str] = set()
        self.challenge = "Bearer"

    def __call__(self, received: Received, exchange: Exchange) -> None:
        """Answer a request with a valid token, else 401."""
        if received.headers.get("authorization", "").removeprefix("Bearer ") in self.accepted:
            super().__call__(received, exchange)
        else:
            exchange.send(401, headers={"www-authenticate": self.challenge})


@pytest.fixture
def authorization() -> Iterator[AuthorizationServer]:
    """Yield an authorization server that runs."""
    answers = AuthorizationServer()
    with LoopbackServer(answers) as server:
        answers.url = server.url
        yield answers


@pytest.fixture
def protected() -> Protected:
    """Return the answers of the MCP server."""
    return Protected()


@pytest.fixture
def server(protected: Protected) -> Iterator[LoopbackServer]:
    """Yield the MCP server that runs."""
    with LoopbackServer(protected) as running:
        yield running


def client_of(server: LoopbackServer, authorization: AuthorizationServer, **auth: Any) -> McpClient:
    """Return a client with client credentials."""
    fields = {"protocol": "2026-07-28", "auth": {**CREDENTIALS, **auth}}
    other = (authorization.url.removeprefix("http://"),)
    return McpClient(f"{server.url}/mcp", fields, other_hosts=other)


def failure(client: McpClient) -> ToolError:
    """Return the error of a call."""
    with pytest.raises(ToolError) as caught:
        client.call("echo")
    return caught.value


def test_a_bearer_secret_is_sent(server: LoopbackServer, protected: Protected) -> None:
    protected.accepted = {"token-of-the-peer"}

    McpClient(f"{server.url}/mcp", {"auth": {"secret": "peer-token"}}).call("echo")


def test_a_rejected_bearer_secret_is_sent_once(server: LoopbackServer) -> None:
    error = failure(McpClient(f"{server.url}/mcp", {"auth": {"secret": "peer-token"}}))

    assert (error.code, error.is_in_doubt) == ("http_401", False)
    assert len(server.received) == 1


def test_a_token_is_used_until_a_minute_before_it_expires(
    server: LoopbackServer, protected: Protected, authorization: AuthorizationServer
) -> None:
    protected.accepted = {"token-1", "token-2"}
    client = client_of(
        server, authorization, token_url=f"{authorization.url}/token", scopes=["a", "b"]
    )

    client.call("echo")
    client.now += 3539
    client.call("echo")
    granted_before = len(authorization.granted)
    client.now += 1
    client.call("echo")

    assert granted_before == 1
    assert (
        authorization.granted
        == [
            {
                "grant_type": "client_credentials",
                "resource": f"{server.url}/mcp",
                "scope": "a b",
            }
        ]
        * 2
    )


def test_a_401_gets_one_new_token_and_one_more_attempt(
    server: LoopbackServer, authorization: AuthorizationServer
) -> None:
    client = client_of(server, authorization, token_url=f"{authorization.url}/token")

    error = failure(client)

    assert error.code == "http_401"
    assert len(server.received) == 2
    assert len(authorization.granted) == 2


def test_the_token_endpoint_is_found_by_the_challenge(
    server: LoopbackServer, protected: Protected, authorization: AuthorizationServer
) -> None:
    protected.accepted = {"token-1"}
    authorization.resource = f"{server.url}/"
    authorization.methods = ("client_secret_post",)
    metadata = f"{authorization.url}/.well-known/oauth-protected-resource/other"
    protected.challenge = f'Bearer resource_metadata="{metadata}", scope="tools"'

    client_of(server, authorization).call("echo")

    (form,) = authorization.granted
    assert (form["client_id"], form["scope"]) == ("runyard", "tools")
    assert form["resource"] == f"{server.url}/"


def test_metadata_for_another_resource_is_rejected(
    server: LoopbackServer, protected: Protected, authorization: AuthorizationServer
) -> None:
    authorization.resource = "https://bank.example/mcp"
    protected.challenge = (
        f'Bearer resource_metadata="{authorization.url}/.well-known/oauth-protected-resource"'
    )

    assert failure(client_of(server, authorization)).code == "authorization_failed"
    assert not authorization.granted


def test_the_secret_goes_only_to_the_named_issuer(
    server: LoopbackServer, protected: Protected, authorization: AuthorizationServer
) -> None:
    authorization.resource = f"{server.url}/mcp"
    protected.challenge = (
        f'Bearer resource_metadata="{authorization.url}/.well-known/oauth-protected-resource"'
    )

    error = failure(client_of(server, authorization, issuer="https://login.example"))

    assert error.code == "authorization_failed"
    assert "https://login.example" in error.message
    assert not authorization.granted


@pytest.mark.parametrize("is_named", [True, False])
def test_a_public_server_cannot_lead_to_a_private_address(
    authorization: AuthorizationServer, is_named: bool
) -> None:
    token_url = f"{authorization.url}/.well-known/oauth-authorization-server"
    auth = {**CREDENTIALS, "token_url": token_url} if is_named else CREDENTIALS
    hosts = (authorization.url.removeprefix("http://"),)
    client = McpClient(
        "https://mcp.example.com/mcp", {"auth": auth}, private=False, other_hosts=hosts
    )

    async def fetch() -> int:
        connection = Connection(client.server, client.environment, timeout=5)
        request = OutgoingRequest("GET", token_url, {}, None, 0, 10_000)
        return (await connection.send(request)).status

    if is_named:
        assert asyncio.run(fetch()) == 200
    else:
        with pytest.raises(ToolError, match="public"):
            asyncio.run(fetch())


def test_a_server_without_metadata_says_what_to_set(
    server: LoopbackServer, authorization: AuthorizationServer
) -> None:
    error = failure(client_of(server, authorization))

    assert error.code == "authorization_failed"
    assert "token_url" in error.message


def test_a_wrong_secret_is_reported_without_the_secret(
    server: LoopbackServer, authorization: AuthorizationServer
) -> None:
    authorization.client_secret = "another"

    error = failure(client_of(server, authorization, token_url=f"{authorization.url}/token"))

    assert (error.code, error.is_in_doubt) == ("authorization_failed", False)
    assert "invalid_client" in error.message
    assert "s3cret" not in error.message
    assert not server.received


def test_a_secret_that_cannot_be_read_is_named(server: LoopbackServer) -> None:
    error = failure(McpClient(f"{server.url}/mcp", {"auth": {"secret": "missing"}}))

    assert (error.code, error.is_in_doubt) == ("authorization_failed", False)
    assert "'missing'" in error.message
    assert not server.received


def test_an_unreachable_token_endpoint_leaves_no_call_in_doubt(server: LoopbackServer) -> None:
    closed = AuthorizationServer(url="http://127.0.0.1:9")

    error = failure(client_of(server, closed, token_url="http://127.0.0.1:9/token"))

    assert (error.code, error.is_transient) == ("authorization_failed", True)
    assert not error.is_in_doubt


@pytest.mark.parametrize("expires_in", [None, "soon"])
def test_a_token_without_a_valid_lifetime_is_used_for_a_while(
    server: LoopbackServer,
    protected: Protected,
    authorization: AuthorizationServer,
    expires_in: object,
) -> None:
    authorization.expires_in = expires_in
    protected.accepted = {"token-1", "token-2"}
    client = client_of(server, authorization, token_url=f"{authorization.url}/token")

    client.call("echo")
    client.call("echo")
    client.now += 240
    client.call("echo")

    assert len(authorization.granted) == 2
