"""A small OAuth authorization server for client credentials, with metadata and introspection."""

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.support.servers.loopback import Exchange, Received


@dataclass
class AuthorizationServer:
    """Answers of the server; set `url` once the loopback server has its port.

    `granted` has the forms of all granted tokens: token `token-1` belongs to the first.
    """

    client_id: str = "runyard"
    client_secret: str = "s3cret:/+"
    url: str = ""
    resource: str = ""
    """The resource of the protected metadata, which it also serves; empty for none."""
    methods: tuple[str, ...] = ("client_secret_basic",)
    expires_in: Any = 3600
    granted: list[dict[str, str]] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)

    def __call__(self, received: Received, exchange: Exchange) -> None:
        """Answer a request."""
        path = urlsplit(received.path).path
        if path == "/token":
            self._grant(received, exchange)
        elif path == "/introspect":
            self._introspect(received, exchange)
        elif path == "/.well-known/oauth-authorization-server":
            exchange.send_json(200, self.metadata())
        elif path.startswith("/.well-known/oauth-protected-resource") and self.resource:
            exchange.send_json(
                200, {"resource": self.resource, "authorization_servers": [self.url]}
            )
        else:
            exchange.send(404)

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of RFC 8414."""
        return {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "token_endpoint_auth_methods_supported": list(self.methods),
        }

    def _grant(self, received: Received, exchange: Exchange) -> None:
        form = dict(parse_qsl(received.body.decode()))
        kind, _, encoded = received.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            pair = base64.b64decode(encoded).decode().split(":")
            client = tuple(map(unquote, pair))
        else:
            client = (form.get("client_id", ""), form.get("client_secret", ""))
        if client != (self.client_id, self.client_secret):
            exchange.send_json(401, {"error": "invalid_client"})
            return
        self.granted.append(form)
        token = f"token-{len(self.granted)}"
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}
        exchange.send_json(200, {name: v for name, v in answer.items() if v is not None})

    def _introspect(self, received: Received, exchange: Exchange) -> None:
        (token,) = parse_qs(urlsplit(received.path).query)["token"]
        number = token.removeprefix("token-")
        is_known = number.isdigit() and 0 < int(number) <= len(self.granted)
        is_active = is_known and token not in self.revoked
        resource = self.granted[int(number) - 1].get("resource") if is_active else None
        exchange.send_json(200, {"active": is_active, "resource": resource})
