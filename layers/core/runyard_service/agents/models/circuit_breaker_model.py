"""A model with a circuit breaker: no request is sent while its provider fails."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal

from runyard_service.agents.models.base import Model, ModelEvent, ModelRequest, Response, TokenUsage
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError
from runyard_service.outbound.circuit_breaker import CircuitBreaker


class CircuitBreakerModel:
    """Wrap a model; send requests only while the circuit is closed."""

    def __init__(self, model: Model, circuit: CircuitBreaker) -> None:
        self._model = model
        self._circuit = circuit

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one response; raise ModelUnavailableError if the circuit is open."""
        if reason := self._circuit.open_reason():
            raise ModelUnavailableError(reason, was_attempted=False)
        try:
            async with aclosing(self._model.stream(request)) as stream:
                async for event in stream:
                    if isinstance(event, Response):
                        self._circuit.record_success()
                    yield event
        except ModelUnavailableError as error:
            self._circuit.record_failure(str(error), error.retry_after)
            raise
        except ModelRejectedError:
            self._circuit.record_success()
            raise

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Return the wrapped model's value."""
        return self._model.max_usage(request)

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """Return the wrapped model's value."""
        return self._model.cost_of(usage)
