"""The base of the loopback servers that speak the protocols of model providers."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from tests.support.servers.loopback import Exchange, LoopbackServer, Received

ResponseT = TypeVar("ResponseT")
PROVIDER_MESSAGE = "The provider's own words."


@dataclass(frozen=True)
class ProviderFailure:
    """An HTTP error instead of a response; `code` is the provider's name of the error."""

    status: int
    code: str | None = None
    message: str = PROVIDER_MESSAGE
    retry_after: str | None = None


class ModelServer(LoopbackServer, ABC, Generic[ResponseT]):
    """Send the next of `responses` for each request, or the result of `choose`."""

    path_end: ClassVar[str]

    def __init__(
        self,
        *responses: ResponseT | ProviderFailure,
        choose: Callable[[Received], ResponseT | ProviderFailure] | None = None,
    ) -> None:
        super().__init__(self._respond)
        self.responses = deque(responses)
        self._choose = choose or self._next

    @abstractmethod
    def error_body(self, failure: ProviderFailure) -> object:
        """Return the JSON body of an HTTP error."""

    def error_headers(self, failure: ProviderFailure) -> Mapping[str, str]:
        """Return the provider's own headers of an HTTP error."""
        return {}

    @abstractmethod
    def stream(self, response: ResponseT, received: Received, exchange: Exchange) -> None:
        """Send a response in the provider's format."""

    def _next(self, received: Received) -> ResponseT | ProviderFailure:
        if not self.responses:
            return ProviderFailure(500, message="No response is left.")
        return self.responses.popleft()

    def _respond(self, received: Received, exchange: Exchange) -> None:
        if not received.path.endswith(self.path_end):
            failure = ProviderFailure(404, message="no such path")
            exchange.send_json(404, self.error_body(failure))
            return
        response = self._choose(received)
        if isinstance(response, ProviderFailure):
            headers = {"retry-after": response.retry_after} if response.retry_after else {}
            headers |= self.error_headers(response)
            exchange.send_json(response.status, self.error_body(response), headers)
            return
        self.stream(response, received, exchange)
