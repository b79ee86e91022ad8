"""What a scripted model plays: dialogues, chosen by the run's input, made of turns.

The first dialogue whose `when` holds is played. Of its turns, each reply takes the next one whose
`when` holds; conditions see

    input.<field>                the run's input
    files.<n>.name               the run's files, from 0; also mime_type, size, text, shown (bytes)
    results.<tool>.failed        whether the tool's last call failed or was refused
    results.<tool>.content       what it gave back, as data where it is JSON

and texts may name the same as `{{ input.field }}`.
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
    """The provider fails: `unavailable` for the first `attempts` tries of a step, or for good."""

    kind: Literal["unavailable", "rejected"]
    attempts: int | None = Field(None, ge=1)


class ScriptedUsage(FrozenModel):
    """The tokens of a reply, where the words of a script do not count as they are."""

    input_tokens: int = Field(0, ge=0)
    output_tokens: int = Field(0, ge=0)
    cached_input_tokens: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _cached_is_input(self) -> "ScriptedUsage":
        if self.cached_input_tokens > self.input_tokens:
            raise ValueError("cached_input_tokens are among the input_tokens")
        return self


class ScriptedTurn(FrozenModel):
    """One reply. `think` and `say` are streamed word by word, each `repeat` times.

    `output` is the structured answer that ends the run. `delay_ms` passes before the reply begins,
    `pace_ms` between two words. Without `usage` each word is a token.
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
    """A conversation from its first reply to its last."""

    name: str
    when: Condition = Field(default_factory=dict)
    turns: tuple[ScriptedTurn, ...] = Field(min_length=1)


class Script(FrozenModel):
    """The dialogues of one `agents/scripts/*.yaml`."""

    dialogues: tuple[Dialogue, ...] = Field(min_length=1)
