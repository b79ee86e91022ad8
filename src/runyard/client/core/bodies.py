"""Bodies of requests: JSON, and one file as `multipart/form-data`."""

import json
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

_CHUNK_BYTES = 64 * 1024


def to_json(value: Any) -> bytes:
    """Return the value as JSON in UTF-8. Raise TypeError or ValueError for what JSON lacks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@dataclass(frozen=True)
class File:
    """A file to upload: its name, its media type, and a path or its bytes."""

    name: str
    content: Path | bytes = field(repr=False)
    mime_type: str = "application/octet-stream"

    @classmethod
    def of(cls, source: "FileSource") -> "File":
        """Return the file at a path, or one of a name and bytes. The name decides the type."""
        if isinstance(source, File):
            return source
        name, content = source if isinstance(source, tuple) else (Path(source).name, Path(source))
        guessed, _ = mimetypes.guess_type(name)
        return cls(name, content, guessed or cls.mime_type)

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in chunks."""
        if isinstance(self.content, bytes):
            yield self.content
            return
        with self.content.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


FileSource = str | Path | File | tuple[str, bytes]
"""A path, a `File`, or a name with bytes."""


@dataclass(frozen=True)
class Multipart:
    """Text fields and then one file. A retry sends the same bytes again."""

    file: File
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    boundary: str = field(default_factory=lambda: uuid4().hex)

    @property
    def content_type(self) -> str:
        """Return the value of the header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Return the number of bytes of the body."""
        return len(self._head()) + self.file.size + len(self._tail())

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in chunks."""
        yield self._head()
        yield from self.file.chunks()
        yield self._tail()

    def _head(self) -> bytes:
        parts = [
            f"--{self.boundary}\r\nContent-Disposition: form-data;"
            f' name="{_quoted(name)}"\r\n\r\n{text}\r\n'
            for name, text in self.fields.items()
        ]
        parts.append(
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="file";'
            f' filename="{_quoted(self.file.name)}"\r\nContent-Type: {self.file.mime_type}\r\n\r\n'
        )
        return "".join(parts).encode()

    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()


def _quoted(text: str) -> str:
    """Return the text as browsers write it into a quoted string of a part's head."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
