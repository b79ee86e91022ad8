"""The application of the web server: the API for callers on this machine.

Web pages of other sites run in the developer's browser, which can reach the local stack. This
module rejects their requests: they have a foreign `Origin`, or after DNS rebinding a foreign
`Host`.
"""

import importlib
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from runyard_dev.local_callers import find_foreign_caller
from runyard_dev.plugin import PLUGIN_VARIABLE

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_API = "functions.stream.app"


def create_app() -> Asgi:
    """Return the application of the API or of the plugin, for local callers only."""
    app: Asgi = importlib.import_module(os.environ.get(PLUGIN_VARIABLE) or _API).create_app()
    return for_local_callers(app)


def for_local_callers(app: Asgi) -> Asgi:
    """Return the application, with response 403 for foreign hosts and origins."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            values: dict[bytes, list[str]] = {b"host": [], b"origin": []}
            for name, value in scope["headers"]:
                if name in values:
                    values[name].append(value.decode("latin-1"))
            if reason := find_foreign_caller(values[b"host"], values[b"origin"]):
                await _forbid(send, reason)
                return
        await app(scope, receive, send)

    return guarded


async def _forbid(send: Send, reason: str) -> None:
    body = json.dumps({"error": {"code": "forbidden", "message": reason}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
