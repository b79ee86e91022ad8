"""The fields of an agent of kind `code`: which function has the user's own code."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from runyard_service.agents.definitions.base import FrozenModel, StepSeconds


class CodeFields(FrozenModel):
    """Whether an agent is a dialogue with a model, or code in a function of the user.

    `function` is the name of a Lambda function, or `./folder/app.py:handler` on the local stack.
    A run uses the version that `alias` names at its start until its end. `invocation_timeout` is
    the most seconds of one invocation.
    """

    kind: Literal["dialogue", "code"] = "dialogue"
    instructions: str = Field(
        "", validate_default=True, description="`{{ now }}` is the run's creation time."
    )
    function: str | None = Field(None, min_length=1, max_length=256, validate_default=True)
    alias: str = Field("live", pattern=r"^[A-Za-z0-9_-]{1,128}$")
    invocation_timeout: StepSeconds = 120

    @field_validator("instructions")
    @classmethod
    def _dialogue_has_instructions(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("kind") == "dialogue" and not value:
            raise PydanticCustomError("missing", "Field required")
        return value

    @field_validator("function")
    @classmethod
    def _code_has_a_function(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "code" and value is None:
            raise PydanticCustomError("missing", "Field required")
        if info.data.get("kind") == "dialogue" and value is not None:
            raise ValueError("only an agent of kind code has a function; add kind: code")
        return value
