"""A model with a circuit breaker: no request is sent while its provider fails."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal

from runyard_service.agents.models.base import Model, ModelEvent, ModelRequest, Response, TokenUsage
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError
from runyard_service.outbound.circuit_breaker import CircuitBreaker


@dataclass(frozen=True)
class _LastFailure:
    """The error of the last attempt, and the project whose run made it."""

    project_id: str
    error: ModelUnavailableError


class CircuitBreakerModel:
    """Wrap a model; send requests only while the circuit is closed."""

    def __init__(self, model: Model, circuit: CircuitBreaker) -> None:
        self._model = model
        self._circuit = circuit

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one response; raise ModelUnavailableError if the circuit is open."""
        if reason := self._circuit.open_reason():
            raise self._not_attempted(reason, request)
        try:
            async with aclosing(self._model.stream(request)) as stream:
                async for event in stream:
                    if isinstance(event, Response):
                        self._circuit.record_success()
                    yield event
        except ModelUnavailableError as error:
            last = _LastFailure(request.project_id, error)
            self._circuit.record_failure(str(error), error.retry_after, last)
            raise
        except ModelRejectedError:
            self._circuit.record_success()
            raise

    def _not_attempted(self, reason: str, request: ModelRequest) -> ModelUnavailableError:
        """Return the error with what the last real attempt said."""
        last = self._circuit.last_details
        if not isinstance(last, _LastFailure):
            return ModelUnavailableError(reason, was_attempted=False)
        provider = last.error.provider
        if provider is not None and last.project_id != request.project_id:
            provider = provider.without_message()
        return ModelUnavailableError(
            reason, kind=last.error.kind, was_attempted=False, provider=provider
        )

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Return the wrapped model's value."""
        return self._model.max_usage(request)

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """Return the wrapped model's value."""
        return self._model.cost_of(usage)
