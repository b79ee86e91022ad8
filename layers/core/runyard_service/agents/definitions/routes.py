"""Models of `routes.yaml`: which model an agent uses, and how its server is called."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from runyard_service.agents.definitions.base import FrozenModel, StepSeconds, off_to_str
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.known_fields import suggestion
from runyard_service.agents.definitions.model_settings.route_extras import body_issue, header_issue

ReasoningMode = Literal["off", "minimal", "low", "medium", "high"]
ThinkTags = Literal["auto", "open", "off"]
# The fields of servers that speak OpenAI's chat completions.
_CHAT_FIELDS = ("max_tokens_field", "stream_options", "stream_usage")
# The providers whose models think for a number of tokens.
_THINKING_BUDGET = frozenset({"anthropic", "bedrock", "google"})
# Anthropic requires at least as many.
_SHORTEST_THINKING = 1024
# The part of `model` before the colon: the API that the model is called with. `openai` is
# one of OpenAI's two APIs.
_APIS = (
    "openai",
    "openai-chat",
    "openai-responses",
    "anthropic",
    "bedrock",
    "google",
    "mistral",
    "scripted",
)


class Route(FrozenModel):
    """A model as `provider:model`, with its address if that is not the provider's.

    `model` is `openai:…`, `anthropic:…`, `bedrock:…`, `google:…`, `mistral:…` or
    `scripted:<file in agents/scripts>`. `openai:` means OpenAI's Responses API at OpenAI's own
    address, and chat completions at any other `base_url`. `openai-responses:` and `openai-chat:`
    choose the API.
    `api_key_variable` names the environment variable, `api_key_secret` the secret in Secrets
    Manager that holds the key. Prices are USD per million tokens and override the price table;
    the default price of cached input is that of other input. The default price of input that is
    written to a cache is a multiple of the input price with Anthropic and Bedrock (`pricing.py`).
    `reasoning` is the reasoning effort; None is the provider's default. `think_tags` is for servers
    that send reasoning as text between `<think>` and `</think>`: `auto` finds both tags, `open`
    means that each response starts inside the reasoning, and `off` leaves the tags in the text.
    `context_window` is the most tokens of a request with its response; it overrides the table.

    `extra_headers` and `extra_body` are added to each request; `${NAME}` in their texts is a value
    of the installation (`AGENT_VARIABLES`). `max_tokens_field` names the field of the longest
    response, `stream_options` says whether the server takes that field, and `stream_usage` whether
    a count in a stream is the total so far or an increment. `thinking_budget` is in tokens.
    """

    model: str
    base_url: str | None = None
    region: str | None = None
    api_key_variable: str | None = None
    api_key_secret: str | None = None
    input_usd_per_million: Decimal | None = Field(None, ge=0)
    output_usd_per_million: Decimal | None = Field(None, ge=0)
    cached_input_usd_per_million: Decimal | None = Field(None, ge=0)
    cache_write_usd_per_million: Decimal | None = Field(None, ge=0)
    timeout: StepSeconds = 300
    context_window: int | None = Field(None, ge=1024)
    reasoning: Annotated[ReasoningMode | None, BeforeValidator(off_to_str)] = None
    thinking_budget: int | None = Field(None, ge=_SHORTEST_THINKING)
    think_tags: Annotated[ThinkTags, BeforeValidator(off_to_str)] = "auto"
    extra_headers: Mapping[str, str] = Field(default_factory=dict)
    extra_body: Mapping[str, Any] = Field(default_factory=dict)
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    stream_options: bool = True
    stream_usage: Literal["total", "increments"] = "total"

    @field_validator("model")
    @classmethod
    def _model_names_an_api(cls, model: str) -> str:
        api, _, name = model.partition(":")
        if api not in _APIS:
            hint = suggestion(api, _APIS)
            raise ValueError(f"must be an API and a model, such as 'openai:gpt-5-mini'{hint}")
        if not name:
            raise ValueError(f"must name a model after {api + ':'!r}")
        return model

    @model_validator(mode="after")
    def _prices_go_together(self) -> "Route":
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("set both prices, or neither")
        cached, full = self.cached_input_usd_per_million, self.input_usd_per_million
        if cached is not None and (full is None or cached > full):
            # A budget is reserved at the price of new input, read or written, never of cached.
            raise ValueError(
                "cached_input_usd_per_million requires both other prices "
                "and must not exceed the input price"
            )
        if self.cache_write_usd_per_million is not None and full is None:
            raise ValueError("cache_write_usd_per_million requires both other prices")
        return self

    @model_validator(mode="after")
    def _fields_suit_the_provider(self) -> "Route":
        for name in _CHAT_FIELDS:
            if name in self.model_fields_set and self.api != "openai-chat":
                raise issue_at((name,), "is only for openai-chat routes; remove it")
        if self.thinking_budget is not None and self.provider not in _THINKING_BUDGET:
            text = f"is only for {', '.join(sorted(_THINKING_BUDGET))} routes; use reasoning"
            raise issue_at(("thinking_budget",), text)
        if self.thinking_budget is not None and self.reasoning is not None:
            raise issue_at(("thinking_budget",), "cannot be set together with reasoning")
        return self

    @model_validator(mode="after")
    def _extras_replace_nothing(self) -> "Route":
        for name, value in self.extra_headers.items():
            if text := header_issue(name, value):
                raise issue_at(("extra_headers", name), text)
        for name in self.extra_body:
            if text := body_issue(name, self.api):
                raise issue_at(("extra_body", name), text)
        return self

    @property
    def provider(self) -> str:
        """Return the part before the colon, without the API that `openai-` precedes."""
        prefix = self.model.partition(":")[0]
        return "openai" if prefix.startswith("openai-") else prefix

    @property
    def api(self) -> str:
        """Return the API that the model is called with: one of `_APIS`."""
        prefix = self.model.partition(":")[0]
        if prefix != "openai":
            return prefix
        return "openai-responses" if _is_openai_address(self.base_url) else "openai-chat"

    @property
    def model_name(self) -> str:
        """Return the part after the colon."""
        return self.model.partition(":")[2]

    def serves(self, model: str) -> bool:
        """Return True if the route uses `model`, a name with or without its provider."""
        return model in (self.model, self.model_name)


def _is_openai_address(base_url: str | None) -> bool:
    """Return whether this is the address of OpenAI itself, or of one of its regions."""
    host = urlsplit(base_url or "https://api.openai.com").hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")
