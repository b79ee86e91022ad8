"""A TCP proxy that aborts the connections of streams with a reset, as a lost network does."""

import socket
import struct
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_STREAM = b"/stream"


class AbortingProxy:
    """Forward bytes to the service at `base_url` during the `with` block; abort its first streams.

    Each of `cuts` is the number of bytes of a stream's response, with its head, after which the
    proxy resets the connection. Later streams are whole.
    """

    def __init__(self, base_url: str, *cuts: int) -> None:
        self.cuts = list(cuts)
        """The remaining cuts."""
        self.streams = 0
        """The number of streams that were opened."""
        parts = urlsplit(base_url)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        """Return the URL, without a slash at its end."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to accept connections. Open connections end with their client."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Forward both directions of a connection until one of them ends or a cut is reached."""
        left: list[int] = []
        with client, socket.create_connection(self._target) as service:
            upwards = threading.Thread(target=self._send, args=(client, service, left), daemon=True)
            upwards.start()
            while data := _received(service):
                if left:
                    left[0] -= len(data)
                if left and left[0] <= 0:
                    _sent(client, data[: len(data) + left[0]])
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    break
                if not _sent(client, data):
                    break
            # The thread that reads has to end first: until then the socket stays open.
            _shut(client, socket.SHUT_RD)
            _shut(service)
            upwards.join()

    def _send(self, client: socket.socket, service: socket.socket, left: list[int]) -> None:
        """Forward requests. A request for a stream takes the next cut."""
        while data := _received(client):
            if _STREAM in data.partition(b"\r\n")[0]:
                self.streams += 1
                if self.cuts:
                    left[:] = [self.cuts.pop(0)]
            if not _sent(service, data):
                break
        _shut(service)


def _received(source: socket.socket) -> bytes:
    """Return the next bytes; none if the connection has ended."""
    try:
        return source.recv(65_536)
    except OSError:
        return b""


def _sent(target: socket.socket, data: bytes) -> bool:
    try:
        target.sendall(data)
    except OSError:
        return False
    return True


def _shut(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        connection.shutdown(how)
    except OSError:
        return
