"""A model behind a circuit: not asked while its provider is known to fail."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal

from runyard_service.agents.models.base import Model, ModelEvent, ModelRequest, Response, TokenUsage
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError
from runyard_service.outbound.circuit_breaker import CircuitBreaker


class CircuitBreakerModel:
    """The model that it is given, where the circuit lets it be asked."""

    def __init__(self, model: Model, circuit: CircuitBreaker) -> None:
        self._model = model
        self._circuit = circuit

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one reply; raises as the model does, and ModelUnavailableError without asking."""
        if refusal := self._circuit.open_reason():
            raise ModelUnavailableError(refusal, was_attempted=False)
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
        """As the model says."""
        return self._model.max_usage(request)

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """As the model says."""
        return self._model.cost_of(usage)
