"""Models of `routes.yaml`: which model an agent uses, and how its server is called."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel, StepSeconds

ReasoningMode = Literal["off", "minimal", "low", "medium", "high"]
ThinkTags = Literal["auto", "open", "off"]


def _bool_off_to_str(value: Any) -> Any:
    return "off" if value is False else value  # YAML reads a bare `off` as false.


class Route(FrozenModel):
    """A model as `provider:model`, with its address if that is not the provider's.

    `model` is `openai:…`, `anthropic:…`, `bedrock:…` or `scripted:<file in agents/scripts>`.
    `api_key_variable` names the environment variable, `api_key_secret` the secret in Secrets
    Manager that holds the key. Prices are USD per million tokens and override the price table;
    the default price of cached input is that of other input.
    `reasoning` is the reasoning effort; None is the provider's default. `think_tags` is for servers
    that send reasoning as text between `<think>` and `</think>`: `auto` finds both tags, `open`
    means that each response starts inside the reasoning, and `off` leaves the tags in the text.
    `context_window` is the most tokens of a request with its response; it overrides the table.
    """

    model: str = Field(pattern=r"^(openai|anthropic|bedrock|scripted):.+$")
    base_url: str | None = None
    region: str | None = None
    api_key_variable: str | None = None
    api_key_secret: str | None = None
    input_usd_per_million: Decimal | None = Field(None, ge=0)
    output_usd_per_million: Decimal | None = Field(None, ge=0)
    cached_input_usd_per_million: Decimal | None = Field(None, ge=0)
    timeout: StepSeconds = 300
    context_window: int | None = Field(None, ge=1024)
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
        """Return the part before the colon."""
        return self.model.partition(":")[0]

    @property
    def model_name(self) -> str:
        """Return the part after the colon."""
        return self.model.partition(":")[2]

    def serves(self, model: str) -> bool:
        """Return True if the route uses `model`, a name with or without its provider."""
        return model in (self.model, self.model_name)
