"""Models of `routes.yaml`: which model an agent uses, and how its server is called."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel, StepSeconds

ReasoningMode = Literal["off", "minimal", "low", "medium", "high"]
ThinkTags = Literal["auto", "open", "off"]

# The APIs that a model is called with, as the part of `model` before the colon names them. `openai`
# is also accepted there.
_APIS = "openai-chat|openai-responses|anthropic|bedrock|google|mistral|scripted"


def _bool_off_to_str(value: Any) -> Any:
    return "off" if value is False else value  # YAML reads a bare `off` as false.


class Route(FrozenModel):
    """A model as `provider:model`, with its address if that is not the provider's.

    `model` is `openai:…`, `anthropic:…`, `bedrock:…`, `google:…`, `mistral:…` or
    `scripted:<file in agents/scripts>`. `openai:` means OpenAI's Responses API at OpenAI's own
    address, and chat completions at any other `base_url`. `openai-responses:` and `openai-chat:`
    choose the API.
    `api_key_variable` names the environment variable, `api_key_secret` the secret in Secrets
    Manager that holds the key. Prices are USD per million tokens and override the price table;
    the default price of cached input is that of other input.
    `reasoning` is the reasoning effort; None is the provider's default. `think_tags` is for servers
    that send reasoning as text between `<think>` and `</think>`: `auto` finds both tags, `open`
    means that each response starts inside the reasoning, and `off` leaves the tags in the text.
    """

    model: str = Field(pattern=rf"^(openai|{_APIS}):.+$")
    base_url: str | None = None
    region: str | None = None
    api_key_variable: str | None = None
    api_key_secret: str | None = None
    input_usd_per_million: Decimal | None = Field(None, ge=0)
    output_usd_per_million: Decimal | None = Field(None, ge=0)
    cached_input_usd_per_million: Decimal | None = Field(None, ge=0)
    timeout: StepSeconds = 300
    reasoning: Annotated[ReasoningMode | None, BeforeValidator(_bool_off_to_str)] = None
    think_tags: Annotated[ThinkTags, BeforeValidator(_bool_off_to_str)] = "auto"

    @model_validator(mode="after")
    def _prices_go_together(self) -> "Route":
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("set both prices, or neither")
        cached, full = self.cached_input_usd_per_million, self.input_usd_per_million
        if cached is not None and (full is None or cached > full):
            # A budget is reserved at the full price: it has to be the highest.
            raise ValueError(
                "cached_input_usd_per_million requires both other prices "
                "and must not exceed the input price"
            )
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
