"""Parse a stream of Server-Sent Events, whatever pieces it arrives in."""


class SseParser:
    """Collect the bytes of one connection; return the data of each complete event.

    An event is complete when its blank line has arrived. Comments, and the fields `id`, `event` and
    `retry`, are ignored: the data has the sequence and the type.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        """The start of the current line."""
        self._data: list[bytes] = []
        """The `data` lines of the current event."""
        self._skips_newline = False
        """Whether the last byte was a carriage return, which a newline may follow."""
        self._is_at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that this chunk completes."""
        if self._skips_newline and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skips_newline = False
        if b"\n" not in chunk and b"\r" not in chunk:
            self._pieces.append(chunk)
            return []
        lines = b"".join((*self._pieces, chunk)).splitlines(keepends=True)
        self._pieces = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        self._skips_newline = chunk.endswith(b"\r")
        if self._is_at_start:
            self._is_at_start = False
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        complete = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].rstrip(b"\r\n").removeprefix(b" "))
            elif line in (b"\n", b"\r\n", b"\r") and self._data:
                complete.append(b"\n".join(self._data))
                self._data = []
        return complete
