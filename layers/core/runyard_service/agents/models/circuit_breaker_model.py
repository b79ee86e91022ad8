"""A model behind a circuit: not asked while its provider is known to fail."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal

from runyard_service.agents.models.base import Model, ModelEvent, ModelRequest, Reply, TokenUsage
from runyard_service.domain.errors import ModelRefusedError, ModelUnavailableError
from runyard_service.outbound.circuit_breaker import Circuit


class GuardedModel:
    """The model that it is given, where the circuit lets it be asked."""

    def __init__(self, model: Model, circuit: Circuit) -> None:
        self._model = model
        self._circuit = circuit

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one reply; raises as the model does, and ModelUnavailableError without asking."""
        if refusal := self._circuit.refusal():
            raise ModelUnavailableError(refusal, was_tried=False)
        try:
            async with aclosing(self._model.stream(request)) as stream:
                async for event in stream:
                    if isinstance(event, Reply):
                        self._circuit.succeeded()
                    yield event
        except ModelUnavailableError as error:
            self._circuit.failed(str(error), error.retry_after)
            raise
        except ModelRefusedError:
            self._circuit.succeeded()
            raise

    def at_most(self, request: ModelRequest) -> TokenUsage:
        """As the model says."""
        return self._model.at_most(request)

    def price_of(self, usage: TokenUsage) -> Decimal | None:
        """As the model says."""
        return self._model.price_of(usage)
