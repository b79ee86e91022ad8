"""A run's own limits: what is left of each, and what the next reply may use of it.

A budget is reserved before the call: a reply is asked for only if the most that it can use fits, or
if it still can be given in what is left. So a run stops before it overspends, not after.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from runyard_service.agents.definitions.models import Limits
from runyard_service.agents.models.base import Model, ModelRequest, TokenUsage
from runyard_service.agents.truncation import BUDGETS, DEFAULT_LENGTH
from runyard_service.domain.clock import now
from runyard_service.domain.errors import DefinitionError, LimitExceededError
from runyard_service.domain.history import History

# A reply that had to be shorter than this is not worth asking for.
SHORTEST_RESPONSE_TOKENS = 256

# What the run has done with a limit, and what the limit counts.
WORDS = {
    "steps": ("taken", "steps"),
    "tokens": ("used", "tokens"),
    "usd": ("spent", "USD"),
    "wall_clock_seconds": ("worked for", "seconds"),
}


def format_decimal(number: Decimal) -> str:
    """The number without an exponent or needless zeros."""
    return f"{number.normalize():f}"


@dataclass(frozen=True)
class Budget:
    """The limits of one run, raised ones among them, and what its log says was used."""

    limits: Limits
    history: History

    def limit(self, name: str) -> Decimal | None:
        """The limit of this name as it stands now; None where there is none."""
        raised = self.history.limit_overrides.get(name)
        if raised is not None:
            return raised
        defined = getattr(self.limits, name)
        return None if defined is None else Decimal(defined)

    def used(self, name: str) -> Decimal:
        """What has been used of it."""
        usage = self.history.usage
        match name:
            case "steps":
                return Decimal(usage.steps)
            case "tokens":
                return Decimal(usage.input_tokens + usage.output_tokens)
            case "usd":
                return usage.cost_usd or Decimal(0)
            case _:
                return Decimal(str(self.history.active_time(now()).total_seconds()))

    def left(self, name: str) -> Decimal | None:
        """What is left of it; None where there is no limit."""
        limit = self.limit(name)
        return None if limit is None else limit - self.used(name)

    def check_time(self) -> None:
        """Raises LimitExceededError where the run's working time is over."""
        self._check("wall_clock_seconds")

    def check(self) -> None:
        """Raises LimitExceededError where a limit leaves no room for any further reply.

        DefinitionError where the newest one is not known to have used anything: a budget of what
        nobody counts would never be met.
        """
        self._check_counted()
        if self.history.truncated_by in BUDGETS:
            raise self.limit_error(
                self.history.truncated_by, "the run was cut off in the middle of a response by"
            )
        for name in ("steps", "tokens", "usd"):
            self._check(name)

    def _check_counted(self) -> None:
        if self.history.current is None:
            return
        usage = self.history.current.message.get("usage", {})
        if self.limit("usd") is not None and "cost_usd" not in usage:
            raise DefinitionError("A limit in USD requires a price; a response has none.")
        counted = usage.get("input_tokens") or usage.get("output_tokens")
        if self.limit("tokens") is not None and not counted:
            raise DefinitionError("limits.tokens requires a provider that reports token usage.")

    def _check(self, name: str) -> None:
        left = self.left(name)
        if left is not None and left <= 0:
            raise self.limit_error(name, f"the run has {WORDS[name][0]}")

    def limit_error(self, name: str, what: str) -> LimitExceededError:
        """The error that says what happened to the limit, and how much it is."""
        limit = self.limit(name)
        assert limit is not None, "what is not limited is not exceeded"
        return LimitExceededError(
            f"{what} its {format_decimal(limit)} {WORDS[name][1]}", limit=name
        )


@dataclass(frozen=True)
class BudgetedRequest:
    """A request that fits the budget.

    `truncated_by` names the limit that makes the response shorter than the agent's own maximum,
    empty if no limit does. `worst_usd` is the most that the response can cost.
    """

    request: ModelRequest
    truncated_by: str = ""
    worst_usd: Decimal = Decimal(0)


def fit_to_budget(
    budget: Budget, model: Model, request: ModelRequest, *, is_capped: bool
) -> BudgetedRequest:
    """The request with the longest reply that fits what is left.

    As it is where neither tokens nor money are limited; `is_capped`: they are limited beyond the
    run. Raises LimitExceededError where even a short reply may not fit, DefinitionError where money
    is limited and no price is known.
    """
    has_usd = budget.limit("usd") is not None
    if budget.limit("tokens") is None and not has_usd and not is_capped:
        return BudgetedRequest(request)
    most = model.max_usage(replace(request, reported=_reported(budget.history)))
    if (has_usd or is_capped) and model.cost_of(most) is None:
        raise DefinitionError("A limit in USD requires a price; the route has none.")
    longest, truncated_by = _longest(budget, model, most)
    if longest < min(SHORTEST_RESPONSE_TOKENS, most.output_tokens):
        raise budget.limit_error(
            truncated_by, "the next response may not fit what the run has left of"
        )
    if not truncated_by and request.max_output_tokens is None:
        truncated_by = DEFAULT_LENGTH
    worst = replace(most, output_tokens=longest)
    return BudgetedRequest(
        replace(request, max_output_tokens=longest),
        truncated_by,
        model.cost_of(worst) or Decimal(0),
    )


def _longest(budget: Budget, model: Model, most: TokenUsage) -> tuple[int, str]:
    """How long the reply may be (negative: the request alone does not fit), and what limits it."""
    longest, truncated_by = most.output_tokens, ""
    tokens_left, usd_left = budget.left("tokens"), budget.left("usd")
    if tokens_left is not None and tokens_left - most.input_tokens < longest:
        longest, truncated_by = int(tokens_left) - most.input_tokens, "tokens"
    if usd_left is not None and (affordable := _affordable(model, most, usd_left)) < longest:
        longest, truncated_by = affordable, "usd"
    return longest, truncated_by


def _affordable(model: Model, most: TokenUsage, usd: Decimal) -> int:
    """The output tokens, of at most `most`, that this much money pays for; -1: not even none."""
    low, high = -1, most.output_tokens
    while low < high:
        # Downwards from the whole, which usually fits.
        middle = high if low == -1 and high == most.output_tokens else (low + high + 1) // 2
        price = model.cost_of(replace(most, output_tokens=middle))
        if price is None or price <= usd:
            low = middle
        else:
            high = middle - 1
    return low


def _reported(history: History) -> TokenUsage | None:
    """What the provider counted for the newest reply, where it did."""
    usage = history.current.message.get("usage") if history.current else None
    if not usage or not usage.get("input_tokens"):
        return None
    return TokenUsage(usage["input_tokens"], usage.get("output_tokens", 0))
