"""Spans of a trace, stored in memory until an exporter sends them.

Disabled spans are not stored, so a caller need not check before it opens a span.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | bool | tuple[str, ...]
Kind = Literal["internal", "client"]


@dataclass
class Span:
    """One span. Times are nanoseconds since the epoch; `error` is a type or code, never a text."""

    name: str
    kind: Kind
    trace_id: str
    id: str
    parent_id: str
    started: int
    ended: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str = ""


class Spans:
    """The spans of one invocation in one trace, in the order in which they ended.

    A trace id has 32 hexadecimal digits. The first span that starts is the parent of the others.
    """

    def __init__(self, trace_id: str, *, is_enabled: bool) -> None:
        self.ended: list[Span] = []
        self._trace_id = trace_id
        self._is_enabled = is_enabled
        self._root = ""

    @contextmanager
    def span(self, name: str, kind: Kind, attributes: Mapping[str, Value]) -> Iterator[Span]:
        """Return a context that records a span; an exception sets the span's error to its type."""
        span_id = secrets.token_hex(8)
        span = Span(name, kind, self._trace_id, span_id, self._root, time.time_ns())
        span.attributes.update(attributes)
        self._root = self._root or span_id
        try:
            yield span
        except BaseException as error:
            span.error = span.error or type(error).__name__
            raise
        finally:
            span.ended = time.time_ns()
            if self._is_enabled:
                self.ended.append(span)
