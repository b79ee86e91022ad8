"""A plain HTTP/1.1 and Server-Sent Events client on asyncio's sockets; the standard library only.

It is not fair to measure a server through a client that is slower, or that shares its code.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

# A stream's chunk is one batch; the longest has 100 events of some KB.
_BUFFER_BYTES = 8 * 1024 * 1024


class UnexpectedAnswerError(Exception):
    """The server answered with another status than the measure needs."""


@dataclass
class Answer:
    """Status and headers; the body is still to be read."""

    status: int
    headers: Mapping[str, str]


@dataclass
class Connection:
    """One connection, which is used for one request after the other."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    more_headers: dict[str, str] = field(default_factory=dict)
    """Of the requests from now on."""

    async def __aenter__(self) -> "Connection":
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(
            self.host, self.port, limit=_BUFFER_BYTES
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self._writer.close()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that the request is answered with. Raises UnexpectedAnswerError."""
        answer = await self.send(method, path, body)
        content = b"".join([part async for part in self.parts(answer)])
        if answer.status >= 300:
            raise UnexpectedAnswerError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return json.loads(content) if content else None

    async def stream(self, method: str, path: str, body: Any = None) -> AsyncIterator[bytes]:
        """Yield the body in whole frames as it arrives. Raises UnexpectedAnswerError."""
        answer = await self.send(method, path, body)
        if answer.status != 200:
            content = b"".join([part async for part in self.parts(answer)])
            raise UnexpectedAnswerError(f"{method} {path}: {answer.status} {content[:500]!r}")
        rest = b""
        async for part in self.parts(answer):
            whole = (rest + part).replace(b"\r\n", b"\n")
            end = whole.rfind(b"\n\n") + 2
            if end > 1:
                yield whole[:end]
            rest = whole[end:] if end > 1 else whole

    async def send(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request; return the head of the response."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {text}" for name, text in (self.headers | self.more_headers).items()]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): text.strip()
            for name, _, text in (line.partition(":") for line in head[1:] if line)
        }
        return Answer(int(head[0].split(" ")[1]), headers)

    async def parts(self, answer: Answer) -> AsyncIterator[bytes]:
        """The body's chunks as they come."""
        if answer.headers.get("transfer-encoding") == "chunked":
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readexactly(2)
        elif length := int(answer.headers.get("content-length") or 0):
            yield await self._reader.readexactly(length)
