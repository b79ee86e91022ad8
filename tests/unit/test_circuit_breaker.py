"""Circuit breakers, on a clock that the test sets; and the Retry-After header."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest

from runyard_service.agents.models.base import (
    AssistantMessage,
    ModelEvent,
    ModelRequest,
    Response,
    Text,
    TokenUsage,
    UserMessage,
)
from runyard_service.agents.models.circuit_breaker_model import CircuitBreakerModel
from runyard_service.agents.tools.http import host_of
from runyard_service.domain.clock import now
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError
from runyard_service.domain.provider_failures import ProviderFailure
from runyard_service.outbound.circuit_breaker import (
    FAILURES_IN_A_ROW,
    OPEN_SECONDS,
    CircuitBreaker,
    CircuitBreakers,
)
from runyard_service.outbound.retry_after import retry_after_of

# 2026-11-24T00:00:00Z
START = 1_795_478_400.0


class Clock:
    """A clock that changes only when a test sets it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        """Return the seconds since the epoch."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


def open_circuit(clock: Clock, retry_after: float | None = None) -> CircuitBreaker:
    circuit = CircuitBreaker(clock)
    for _ in range(FAILURES_IN_A_ROW):
        assert circuit.open_reason() == ""
        circuit.record_failure("It is overloaded.", retry_after)
    return circuit


def test_a_circuit_opens_after_failures_in_a_row_and_names_the_last_failure(
    clock: Clock,
) -> None:
    assert open_circuit(clock).open_reason() == (
        "It is overloaded. Tried last at 2026-11-24T00:00:00.000Z. "
        "Not tried again, after 5 failures in a row."
    )


def test_a_circuit_stays_closed_if_a_success_separates_the_failures(clock: Clock) -> None:
    circuit = CircuitBreaker(clock)
    for _ in range(3):
        for _ in range(FAILURES_IN_A_ROW - 1):
            circuit.record_failure("It is overloaded.")
        circuit.record_success()
    assert circuit.open_reason() == ""


def test_one_trial_call_is_allowed_after_the_pause_and_other_calls_wait_for_its_result(
    clock: Clock,
) -> None:
    circuit = open_circuit(clock)
    clock.now += OPEN_SECONDS
    assert circuit.open_reason() == ""
    assert circuit.open_reason() != ""
    circuit.record_success()
    assert circuit.open_reason() == circuit.open_reason() == ""


def test_a_failed_trial_leaves_the_circuit_open_and_a_lost_trial_is_repeated(
    clock: Clock,
) -> None:
    circuit = open_circuit(clock)
    clock.now += OPEN_SECONDS
    assert circuit.open_reason() == ""
    circuit.record_failure("It is overloaded still.")
    assert "overloaded still" in circuit.open_reason()
    clock.now += OPEN_SECONDS
    assert circuit.open_reason() == ""  # For example: its process is frozen and reports no result.
    clock.now += OPEN_SECONDS
    assert circuit.open_reason() == ""


@pytest.mark.parametrize(("requested", "pause"), [(1, OPEN_SECONDS), (100, 100), (10_000, 300)])
def test_a_server_may_request_a_longer_pause_up_to_a_maximum(
    clock: Clock, requested: float, pause: float
) -> None:
    circuit = open_circuit(clock, retry_after=requested)
    clock.now += pause - 1
    assert circuit.open_reason() != ""
    clock.now += 1
    assert circuit.open_reason() == ""


def test_each_name_has_its_own_circuit(clock: Clock) -> None:
    circuits = CircuitBreakers(clock)
    for _ in range(FAILURES_IN_A_ROW):
        circuits.of("a").record_failure("It is overloaded.")
    assert circuits.of("a").open_reason() != ""
    assert circuits.of("b").open_reason() == ""


class FailingModel:
    """A fake model, because a real model does not fail on demand without a socket."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Raise the next exception or return a response, as the test requires."""
        error = self.answers.pop(0)
        if error is not None:
            raise error
        yield Response(AssistantMessage((Text("Here."),)))

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Return no usage."""
        return TokenUsage()

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """Return None: the cost is unknown."""
        return None


def test_a_model_is_not_called_while_its_circuit_is_open(clock: Clock) -> None:
    busy = ModelUnavailableError("The provider is overloaded.")
    dying = FailingModel(*[busy] * FAILURES_IN_A_ROW, None, ModelRejectedError("No."))
    model = CircuitBreakerModel(dying, CircuitBreaker(clock))

    def call_model() -> str:
        async def ask() -> str:
            return str(
                [event async for event in model.stream(ModelRequest("", [UserMessage("?")]))]
            )

        try:
            return asyncio.run(ask())
        except ModelRejectedError:
            return "rejected"
        except ModelUnavailableError as error:
            return "failed" if error.was_attempted else str(error)

    assert [call_model() for _ in range(FAILURES_IN_A_ROW)] == ["failed"] * FAILURES_IN_A_ROW
    assert call_model().startswith("The provider is overloaded. Tried last at ")
    clock.now += OPEN_SECONDS
    assert "Here." in call_model()
    assert call_model() == "rejected"
    assert dying.answers == []


def test_an_open_circuit_repeats_what_the_last_attempt_said_to_its_project(clock: Clock) -> None:
    said = ProviderFailure(503, "busy", "No capacity for your prompt.", "req-1")
    busy = ModelUnavailableError("It is overloaded.", kind="rate_limited", provider=said)
    model = CircuitBreakerModel(FailingModel(*[busy] * FAILURES_IN_A_ROW), CircuitBreaker(clock))

    def failure_in(project_id: str) -> ModelUnavailableError:
        async def ask() -> None:
            request = ModelRequest("", [UserMessage("?")], project_id=project_id)
            async for _ in model.stream(request):
                pass

        with pytest.raises(ModelUnavailableError) as caught:
            asyncio.run(ask())
        return caught.value

    for _ in range(FAILURES_IN_A_ROW):
        assert failure_in("mine").was_attempted
    not_tried = failure_in("mine")
    assert (not_tried.was_attempted, not_tried.kind) == (False, "rate_limited")
    assert not_tried.provider == said
    assert failure_in("another").provider == ProviderFailure(503, "busy")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("9" * 400, 999_999_999),
        *dict.fromkeys(
            [
                ("", None),
                (None, None),
                ("soon", None),
                ("-5", None),
                ("1.5", None),
                ("\u0665", None),
            ]
        ),
    ],
)
def test_retry_after_in_seconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_of(header) == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(now() + timedelta(seconds=90), usegmt=True)
    found = retry_after_of(later)
    assert found is not None
    assert 85 < found <= 90
    assert retry_after_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize(
    ("url", "host", "is_chosen"),
    [
        ("${CRM}/customers/{id}", "crm.example:8443", False),
        ("https://${TENANT}.example.com/a?b=${CRM}", "acme.example.com", False),
        ("https://{region}.example.com/", "eu.example.com", True),
        ("https://{host}/", "a%2fb.example", True),
        ("${MISSING}/x", "", False),
    ],
)
def test_a_tool_uses_the_circuit_of_its_host(url: str, host: str, is_chosen: bool) -> None:
    variables = {"CRM": "https://crm.example:8443", "TENANT": "acme"}
    arguments = {"id": "1", "region": "EU", "host": "a/b.example"}
    assert host_of(url, arguments, variables) == (host, is_chosen)
