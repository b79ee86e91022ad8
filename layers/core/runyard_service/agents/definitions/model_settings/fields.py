"""The fields of an agent that control how its model is asked."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from runyard_service.agents.definitions.base import FrozenModel, ToolName, off_to_str

CacheLifetime = Literal["off", "5m", "1h"]
ServiceTier = Literal["auto", "default", "flex", "priority"]
ToolChoice = Literal["auto", "required", "none"] | tuple[ToolName, ...]


def _number_to_str(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Guardrail(FrozenModel):
    """A guardrail of Amazon Bedrock, by its id or ARN, and its version: a number or `DRAFT`."""

    id: str = Field(min_length=1, max_length=2048)
    version: Annotated[
        str, BeforeValidator(_number_to_str), Field(pattern=r"^(DRAFT|[1-9][0-9]{0,7})$")
    ]


class RequestSettings(FrozenModel):
    """How a model is asked. None is the provider's default.

    `cache` is the lifetime of the prompt cache, with providers that want to be asked for it.
    `tool_choice` that requires a call applies up to the first tool call of the run, and not after
    it: otherwise the run could never end. `output_mode` is how the output arrives: as the
    arguments of an output tool, or as text in the provider's own JSON mode.
    """

    cache: Annotated[CacheLifetime, BeforeValidator(off_to_str)] = "5m"
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field((), max_length=16)
    seed: int | None = Field(None, ge=0, lt=2**63)
    service_tier: ServiceTier | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: ToolChoice | None = None
    output_mode: Literal["tool", "native"] = "tool"
    guardrail: Guardrail | None = None

    @property
    def requires_call(self) -> bool:
        """Return whether `tool_choice` requires the first response to call a tool."""
        return self.tool_choice not in (None, "auto", "none", ())
