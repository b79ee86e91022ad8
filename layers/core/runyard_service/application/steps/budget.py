"""The limits of a run: what is left of each, and what the next response may use of it.

The budget is checked before the call. The worker requests a response only if its maximum usage fits
what is left, if necessary with a lower token limit. So a run stops before it overspends, not after.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from runyard_service.agents.definitions.models import Limits
from runyard_service.agents.models.base import ModelCosts, ModelRequest, TokenUsage
from runyard_service.agents.truncation import BUDGETS, DEFAULT_LENGTH
from runyard_service.domain.clock import now
from runyard_service.domain.errors import DefinitionError, LimitExceededError
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Usage

# The worker does not request a response that would have to be shorter than this.
SHORTEST_RESPONSE_TOKENS = 256

# For messages: the participle of the use, and the unit of the limit.
WORDS = {
    "steps": ("taken", "steps"),
    "tokens": ("used", "tokens"),
    "usd": ("spent", "USD"),
    "wall_clock_seconds": ("worked for", "seconds"),
}


def format_decimal(number: Decimal) -> str:
    """Return the number as text, without an exponent or trailing zeros."""
    return f"{number.normalize():f}"


@dataclass(frozen=True)
class Budget:
    """The limits of one run, with limits that a person raised, and its usage by the log."""

    limits: Limits
    history: History

    def limit(self, name: str) -> Decimal | None:
        """Return the current limit of this name; None if there is no limit."""
        raised = self.history.limit_overrides.get(name)
        if raised is not None:
            return raised
        defined = getattr(self.limits, name)
        return None if defined is None else Decimal(defined)

    def used(self, name: str) -> Decimal:
        """Return the usage of this limit: steps, tokens, USD or active seconds."""
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
        """Return what is left of this limit; None if there is no limit."""
        limit = self.limit(name)
        return None if limit is None else limit - self.used(name)

    def check_time(self) -> None:
        """Raise LimitExceededError if the active time of the run is over."""
        self._check("wall_clock_seconds")

    def check(self) -> None:
        """Raise LimitExceededError if a limit is used up, so no further response fits."""
        if self.history.truncated_by in BUDGETS:
            raise self.limit_error(
                self.history.truncated_by, "the run was cut off in the middle of a response by"
            )
        for name in ("steps", "tokens", "usd"):
            self._check(name)

    def check_spent(self) -> None:
        """Raise LimitExceededError if the tokens or the USD are used up."""
        self._check("tokens")
        self._check("usd")

    def check_counted(self) -> None:
        """Raise DefinitionError if the newest message does not report what a limit counts.

        Such a limit would never be reached.
        """
        current, compaction = self.history.current, self.history.compaction
        counted: list[Mapping[str, Any]] = [current.message] if current else []
        if compaction and compaction["model"]:
            counted.append(compaction)
        for data in counted:
            uncounted = self.uncounted_limit(data)
            if uncounted == "usd":
                raise DefinitionError("A limit in USD requires a price; a response has none.")
            if uncounted == "tokens":
                raise DefinitionError("limits.tokens requires a provider that reports token usage.")

    def uncounted_limit(self, message: Mapping[str, Any]) -> str:
        """Return the limit that needs a count which the message lacks; empty if there is none."""
        usage = message.get("usage", {})
        if self.limit("usd") is not None and "cost_usd" not in usage:
            return "usd"
        is_counted = usage.get("input_tokens") or usage.get("output_tokens")
        return "tokens" if self.limit("tokens") is not None and not is_counted else ""

    def _check(self, name: str) -> None:
        left = self.left(name)
        if left is not None and left <= 0:
            raise self.limit_error(name, f"the run has {WORDS[name][0]}")

    def allows_response_after(self, message: MessageCompleted) -> bool:
        """Return whether a response can follow once this new message is in the history."""
        usage = Usage.of_message(message)
        amounts = {
            "steps": Decimal(usage.steps),
            "tokens": Decimal(usage.input_tokens + usage.output_tokens),
            "usd": usage.cost_usd or Decimal(0),
        }
        lefts = [(self.left(name), amount) for name, amount in amounts.items()]
        is_used_up = any(left is not None and left <= amount for left, amount in lefts)
        return not is_used_up and not self.uncounted_limit(message)

    def limit_error(self, name: str, what: str) -> LimitExceededError:
        """Return the error of this limit: `what` starts its message, the limit ends it."""
        limit = self.limit(name)
        assert limit is not None, "there is no such limit to exceed"
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


@dataclass(frozen=True)
class DearestRoute:
    """The costs of a model, at the price of the dearest route that the run may ask.

    `others` are the models of its fallback routes, by the names of the routes.
    """

    model: ModelCosts
    others: Mapping[str, ModelCosts]

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Return the bound of the model in use: the request is sent to it first."""
        return self.model.max_usage(request)

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """Return the highest cost on any of the routes; None if the model has no price.

        Raise DefinitionError if a fallback route has no price.
        """
        highest = self.model.cost_of(usage)
        for route, model in self.others.items():
            cost = model.cost_of(usage)
            if cost is None:
                raise DefinitionError(
                    f"A limit in USD requires a price; the fallback route {route!r} has none."
                )
            highest = None if highest is None else max(highest, cost)
        return highest


def fit_to_budget(
    budget: Budget,
    model: ModelCosts,
    request: ModelRequest,
    *,
    is_capped: bool,
    is_continued: bool = True,
) -> BudgetedRequest:
    """Return the request with the highest token limit that fits what is left.

    Return it unchanged if neither tokens nor USD are limited. `is_capped` means that a daily cap
    limits USD. `is_continued` means that the request begins with the conversation of the run's
    newest response, whose tokens are known.

    Raise LimitExceededError if even a short response may not fit, DefinitionError if USD are
    limited and no price is known.
    """
    has_usd = budget.limit("usd") is not None
    if budget.limit("tokens") is None and not has_usd and not is_capped:
        return BudgetedRequest(request)
    known = reported_usage(budget.history) if is_continued else None
    most = model.max_usage(replace(request, last_usage=known))
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


def _longest(budget: Budget, model: ModelCosts, most: TokenUsage) -> tuple[int, str]:
    """Return the tokens that fit (negative: the request does not fit), and what limits them."""
    longest, truncated_by = most.output_tokens, ""
    tokens_left, usd_left = budget.left("tokens"), budget.left("usd")
    if tokens_left is not None and tokens_left - most.input_tokens < longest:
        longest, truncated_by = int(tokens_left) - most.input_tokens, "tokens"
    if usd_left is not None and (affordable := _affordable(model, most, usd_left)) < longest:
        longest, truncated_by = affordable, "usd"
    return longest, truncated_by


def _affordable(model: ModelCosts, most: TokenUsage, usd: Decimal) -> int:
    """Return the output tokens that `usd` pays for, by binary search, up to `most`.

    Return -1 if `usd` does not pay for the input.
    """
    low, high = -1, most.output_tokens
    while low < high:
        # Try the maximum first, which usually fits.
        middle = high if low == -1 and high == most.output_tokens else (low + high + 1) // 2
        price = model.cost_of(replace(most, output_tokens=middle))
        if price is None or price <= usd:
            low = middle
        else:
            high = middle - 1
    return low


def reported_usage(history: History) -> TokenUsage | None:
    """Return the usage that the provider reported for the newest message; None if it did not.

    None also if the run has changed its route since then: another provider counts differently.
    """
    message = history.current.message if history.current else None
    usage = message.get("usage") if message else None
    if not message or not usage or not usage.get("input_tokens"):
        return None
    if history.route and message.get("route") != history.route:
        return None
    return TokenUsage(usage["input_tokens"], usage.get("output_tokens", 0))
