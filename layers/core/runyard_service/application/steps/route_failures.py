"""What follows when a route has used up its tries in a worker: the next route, or an error."""

import time
from datetime import datetime

from runyard_service.agents.models.base import ModelCosts
from runyard_service.agents.models.factory import model_for
from runyard_service.application.steps.budget import DearestRoute
from runyard_service.application.steps.retries import FailedCall, leave_to_state_machine
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.clock import now, parse, timestamp_in
from runyard_service.domain.errors import ModelBackoffError, ModelUnavailableError
from runyard_service.domain.event_payloads.runs import ErrorInfo
from runyard_service.domain.history.history import History
from runyard_service.outbound.circuit_breaker import describe_failure

# How long the state machines retry a step whose model is unavailable, on average.
RETRY_SECONDS = 480.0


async def replace_route(ctx: RunContext, error: ModelUnavailableError) -> None:
    """Use the agent's next route for the rest of the run.

    Raise the error of the run if there is none: ModelBackoffError if the provider requests a longer
    delay than the state machine retries for, else ModelUnavailableError.
    """
    message = str(error)
    if error.was_attempted:
        message = describe_failure(message, time.time())
    if ctx.snapshot.fallback:
        await ctx.fall_back(_error_info(message, error))
        return
    if error.retry_after is not None and error.retry_after > _retry_seconds_left(ctx.history):
        again_at = timestamp_in(error.retry_after)
        message = f"{message} The provider asks to wait until {again_at}: start a new run then."
        raise ModelBackoffError(_of_all_routes(ctx, message), error.provider) from error
    failed = FailedCall("model", ctx.snapshot.route.model_name, error.kind)
    await leave_to_state_machine(ctx, failed)
    raise ModelUnavailableError(
        _of_all_routes(ctx, message),
        error.retry_after,
        kind=error.kind,
        was_attempted=error.was_attempted,
        provider=error.provider,
    ) from error


def costs_of(ctx: RunContext) -> ModelCosts:
    """Return the costs of the model in use, at the price of the dearest route that may follow."""
    others = {
        fallback.route_id: model_for(fallback.route, fallback.script, None)
        for fallback in ctx.snapshot.fallback
    }
    return DearestRoute(ctx.model, others) if others else ctx.model


def _retry_seconds_left(history: History) -> float:
    return RETRY_SECONDS - (now() - retried_since(history)).total_seconds()


def _error_info(message: str, error: ModelUnavailableError) -> ErrorInfo:
    info: ErrorInfo = {"code": "model_unavailable", "message": message}
    if error.provider and (provider := error.provider.to_json()):
        info["provider"] = provider
    return info


def _of_all_routes(ctx: RunContext, message: str) -> str:
    """Return the last error of each route of the run; `message` is that of the route in use."""
    failed = ctx.history.failed_routes
    if not failed:
        return message
    errors = {**failed, ctx.snapshot.route_id: message}
    return "No route answered. " + " ".join(f"{name}: {text}" for name, text in errors.items())


def retried_since(history: History) -> datetime:
    """Return when the retries of the route in use started at the earliest.

    This is the time of its first event, or of the last event of the log that is neither a recovery
    nor a retry.
    """
    for event in reversed(history.durable_events):
        if event.type not in ("run.recovered", "run.retrying") or "route" in event.data:
            return parse(event.timestamp)
    raise ValueError("the log has no event of progress")
