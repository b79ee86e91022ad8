"""Credentials for the loopback server of Bedrock, and the server of the agents' tools."""

from collections.abc import Iterator

import pytest

from runyard_service.agents.models.providers.clients import _bedrock_client
from tests.support.provider_runs import ToolServer


@pytest.fixture
def bedrock_credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set credentials and a region, and forget the clients that were created with them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "loopback")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "loopback")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    yield
    _bedrock_client.cache_clear()


@pytest.fixture
def tools() -> Iterator[ToolServer]:
    """Yield the server of the agent's tools."""
    with ToolServer() as server:
        yield server
