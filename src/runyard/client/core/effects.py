"""What an operation asks of its client, and what it gets back.

An operation is a generator: `Call[T]` returns a T, and `Stream[T]` yields each T as an `Item`. The
client performs every other effect and sends its result into the generator.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import urlencode

from runyard.client.core.bodies import Multipart

T = TypeVar("T")

READ_SECONDS = 60.0
"""The longest wait for the answer to a request. API Gateway answers within 30 s."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    `url` is a path of the API, or an absolute URL that the service has returned. `read_seconds` is
    the longest silence of the service. `is_repeatable`: a second try has no second effect. Without
    `has_credentials` the client sends neither the access key nor the project.
    """

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Multipart | None = field(default=None, repr=False)
    read_seconds: float = READ_SECONDS
    is_repeatable: bool = True
    has_credentials: bool = True

    @property
    def target(self) -> str:
        """Return the URL or path, with the query."""
        return f"{self.url}?{urlencode(self.query)}" if self.query else self.url


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response, and its body unless it is a stream. Header names are lower case."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Failure:
    """There is no response, or it has ended early. `reason` contains no URL and no key."""

    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request and read the whole response. The result is a Response or a Failure."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send the request; read the body only if the status is not 200.

    The result is as for `Send`. A 200 stays open for `Read` until `Close`.
    """

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Read more of the open response: its next bytes, None at its end, or a Failure."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the open response, if there is one."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for this number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """A value of a stream for the caller."""

    value: T


Effect: TypeAlias = Send | Open | Read | Close | Sleep
Call: TypeAlias = Generator[Effect, Any, T]
Stream: TypeAlias = Generator[Effect | Item[T], Any, None]
Method = Literal["GET", "POST", "PATCH", "DELETE"]
