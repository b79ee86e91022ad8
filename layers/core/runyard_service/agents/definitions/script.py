"""Scripts of the scripted model: dialogues of turns, selected by the run's input.

The first dialogue whose `when` holds is played. Each response plays its next turn
whose `when` holds. Conditions can use

    input.<field>                the run's input
    files.<n>.name               the run's files, from 0; also mime_type, size, text, shown (bytes)
    results.<tool>.failed        true if the tool's last call failed or was denied
    results.<tool>.content       its result, parsed if it is JSON

and texts can use the same paths, as in `{{ input.field }}`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel
from runyard_service.agents.definitions.conditions import Condition


class ScriptedCall(FrozenModel):
    """One tool call that the model makes."""

    tool: str
    input: Mapping[str, Any] = Field(default_factory=dict)


class ScriptedFailure(FrozenModel):
    """A provider failure: `unavailable` for the first `attempts` attempts of a step, or always."""

    kind: Literal["unavailable", "rejected"]
    attempts: int | None = Field(None, ge=1)


class ScriptedUsage(FrozenModel):
    """The token usage of a response, instead of the number of its words."""

    input_tokens: int = Field(0, ge=0)
    output_tokens: int = Field(0, ge=0)
    cached_input_tokens: int = Field(0, ge=0)
    cache_write_tokens: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _cached_is_input(self) -> "ScriptedUsage":
        if self.cached_input_tokens + self.cache_write_tokens > self.input_tokens:
            raise ValueError(
                "cached_input_tokens and cache_write_tokens must not exceed input_tokens"
            )
        return self


class ScriptedTurn(FrozenModel):
    """One response. `think` and `say` are streamed word by word, each `repeat` times.

    `output` is the structured output that ends the run. `delay_ms` is the delay before the
    response, `pace_ms` the delay between two words. Without `usage` each word is a token.
    """

    when: Condition = Field(default_factory=dict)
    think: str = ""
    say: str = ""
    repeat: int = Field(1, ge=1)
    call: tuple[ScriptedCall, ...] = ()
    output: Any = None
    fail: ScriptedFailure | None = None
    delay_ms: float = Field(0, ge=0)
    pace_ms: float = Field(0, ge=0)
    usage: ScriptedUsage | None = None


class Dialogue(FrozenModel):
    """A conversation from its first response to its last."""

    name: str
    when: Condition = Field(default_factory=dict)
    turns: tuple[ScriptedTurn, ...] = Field(min_length=1)


class Script(FrozenModel):
    """The dialogues of one `agents/scripts/*.yaml`."""

    dialogues: tuple[Dialogue, ...] = Field(min_length=1)
