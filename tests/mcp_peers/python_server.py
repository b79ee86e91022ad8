"""A server of the official Python package, for the tests of the MCP client.

It runs in its own environment, `.venv-mcp`. It serves both eras of the protocol at `/mcp`. With
`--issuer` it accepts only tokens that this authorization server confirms.
"""

import argparse
import json
import urllib.request
from typing import Annotated, Any

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.caching import CacheHint
from mcp.server.mcpserver import (
    Context,
    Elicit,
    ElicitationResult,
    Image,
    MCPServer,
    RequestStateSecurity,
    Resolve,
)
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel

PIXEL = bytes.fromhex("89504e470d0a1a0a")
paid: list[str] = []


class Sum(BaseModel):
    total: int


class Confirmation(BaseModel):
    sure: bool


class Introspection:
    """Ask the authorization server whether a token is valid."""

    def __init__(self, issuer: str, resource: str) -> None:
        self._issuer, self._resource = issuer, resource

    async def verify_token(self, token: str) -> AccessToken | None:
        with urllib.request.urlopen(f"{self._issuer}/introspect?token={token}") as response:
            found = json.load(response)
        if not found["active"]:
            return None
        return AccessToken(
            token=token, client_id="runyard", scopes=["tools"], resource=found["resource"]
        )


async def ask_to_confirm(order: str) -> Elicit[Confirmation]:
    return Elicit(f"Pay order {order}?", Confirmation)


def add(a: int, b: int) -> Sum:
    """Add two numbers."""
    return Sum(total=a + b)


def echo(text: str) -> str:
    """Return the text."""
    return text


def picture() -> Image:
    """Return a picture."""
    return Image(data=PIXEL, format="png")


def report() -> CallToolResult:
    """Return a file and a link."""
    blob = BlobResourceContents(
        uri="file:///reports/june.pdf", mime_type="application/pdf", blob="cGRm"
    )
    return CallToolResult(
        content=[
            TextContent(type="text", text="The report of June."),
            EmbeddedResource(type="resource", resource=blob),
            ResourceLink(type="resource_link", uri="https://example.com/june", name="June"),
        ]
    )


def fail() -> str:
    """Fail."""
    raise ValueError("The printer is on fire.")


async def count(context: Context[Any, Any], to: int) -> str:
    """Count and report progress."""
    for number in range(to):
        await context.report_progress(number + 1, to, f"number {number + 1}")
    return "done"


async def pay(
    order: str, answer: Annotated[ElicitationResult[Confirmation], Resolve(ask_to_confirm)]
) -> str:
    """Pay an order after a person has confirmed it."""
    if answer.action != "accept" or not answer.data.sure:
        return f"not paid: {answer.action}"
    paid.append(order)
    return f"paid {len(paid)}"


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--issuer", default="")
    parser.add_argument("--state-seconds", type=float, default=600)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    url = f"http://127.0.0.1:{options.port}/mcp"
    auth: dict[str, Any] = {}
    if options.issuer:
        auth = {
            "token_verifier": Introspection(options.issuer, url),
            "auth": AuthSettings(
                issuer_url=options.issuer,
                resource_server_url=url,
                required_scopes=["tools"],
                validate_token_resource=True,
            ),
        }
    server = MCPServer(
        "peer",
        request_state_security=RequestStateSecurity.ephemeral(ttl=options.state_seconds),
        cache_hints={"tools/list": CacheHint(ttl_ms=60_000, scope="private")},
        **auth,
    )
    server.add_tool(add, annotations=ToolAnnotations(read_only_hint=True))
    for function in (echo, picture, report, fail, count, pay):
        server.add_tool(function)
    app = server.streamable_http_app(json_response=options.json)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
