"""The tokens of a response, as the provider counted them."""

from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from runyard_service.agents.models.base import TokenUsage


def counted_usage(response: ModelResponse) -> TokenUsage | None:
    """Return the tokens that the provider counted; None if it did not count all of them.

    A request always has input tokens, and a response with content has output tokens: a 0 is a
    missing count there. Gateways that count as Anthropic does, cached tokens apart from other
    input, are recognized by more cached tokens than input tokens.
    """
    usage = response.usage
    is_counted = usage.input_tokens > 0 and (usage.output_tokens > 0 or not response.parts)
    if usage.unmeasured_requests or not is_counted or usage.output_tokens < 0:
        return None
    in_cache = max(0, usage.cache_read_tokens) + max(0, usage.cache_write_tokens)
    return token_usage(usage, apart=in_cache if in_cache > usage.input_tokens else 0)


def token_usage(usage: RequestUsage, *, apart: int) -> TokenUsage | None:
    """Return the counts, with `apart` more input tokens; None if they are impossible."""
    written = max(0, usage.cache_write_tokens)
    try:
        return TokenUsage(
            usage.input_tokens + apart,
            usage.output_tokens,
            max(0, usage.cache_read_tokens),
            written,
            min(written, max(0, usage.cache_write_1h_tokens)),
        )
    except ValueError:
        return None
