"""Requests and responses of outbound HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class OutgoingRequest:
    """An outgoing request. `timeout` is in seconds for the whole call, redirects included.

    Without `follow_redirects`, a redirect is returned as the response. With `truncate_response`, a
    response larger than `max_response_bytes` is truncated instead of rejected.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    max_response_bytes: int
    follow_redirects: bool = True
    truncate_response: bool = False


@dataclass(frozen=True)
class OutgoingResponse:
    """The response after all redirects. Header names are in lower case."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after(self) -> str | None:
        """Return the header `Retry-After`, if any."""
        return self.headers.get("retry-after")
