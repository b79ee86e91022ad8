"""Models of `mcp.yaml`: the MCP servers whose tools an agent can list."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from runyard_service.agents.definitions.base import FrozenModel, StepSeconds


class BearerSecret(FrozenModel):
    """A bearer token, which is the value of a secret in Secrets Manager."""

    secret: str = Field(min_length=1)


class ClientCredentials(FrozenModel):
    """OAuth by client credentials (RFC 6749, 4.4).

    `client_secret` names a secret in Secrets Manager. Without `token_url`, the client finds the
    token endpoint from the server's metadata (RFC 9728 and RFC 8414). With `issuer`, it then sends
    the secret only to that authorization server.
    """

    client_id: str = Field(min_length=1)
    client_secret: str = Field(min_length=1)
    scopes: tuple[str, ...] = ()
    token_url: str | None = None
    issuer: str | None = None


class McpServer(FrozenModel):
    """An MCP server with the streamable HTTP transport.

    `url` and `headers` may hold `${NAME}` for a value of the installation (`AGENT_VARIABLES`).
    `protocol` selects the era of the protocol; `auto` asks the server. `timeout` is in seconds.
    A run can start without an `optional` server. `trust_hints` allows tools to take their effect
    and their approvals from the server's annotations. `on_change` says what happens if a tool
    differs from the digests that `runyard agents mcp-lock` wrote.
    """

    url: str = Field(min_length=1)
    headers: Mapping[str, str] = Field(default_factory=dict)
    auth: BearerSecret | ClientCredentials | None = None
    # YAML reads a bare 2026-07-28 as a date.
    protocol: Annotated[Literal["auto", "2026-07-28", "2025-11-25"], BeforeValidator(str)] = "auto"
    timeout: StepSeconds = 30
    max_result_bytes: int = Field(256 * 1024, gt=0, le=5 * 1024 * 1024)
    optional: bool = False
    trust_hints: bool = False
    on_change: Literal["allow", "ask", "fail"] = "allow"
