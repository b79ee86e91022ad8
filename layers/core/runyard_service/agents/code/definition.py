"""The fields of an agent of kind `code`: which function has the user's own code."""

import re
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from runyard_service.agents.definitions.base import FrozenModel, StepSeconds
from runyard_service.agents.definitions.errors import issue_at

_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOCAL_FILE = re.compile(r"(\./)?[^:]+\.py:[A-Za-z_]\w*")
_ONLY_OF_CODE = ("alias", "invocation_timeout", "other_routes")
# The fields that own code has no use for, and what replaces them.
_NOT_OF_CODE = {
    "prompt": "the code writes the messages of ctx.call_model",
    "context": "the code decides which messages ctx.call_model gets",
    "output_mode": "pass output_schema to ctx.call_model",
    "empty_output": "the code reads each response, and can ask again",
    "tool_choice": "the code names the tools of ctx.call_model, and makes their calls",
}


def is_local_file(function: str) -> bool:
    """Return whether the function is in a file, which only the local stack can run."""
    return _LOCAL_FILE.fullmatch(function) is not None


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
    other_routes: tuple[str, ...] = Field(
        (), description="The routes that `ctx.call_model` may name besides `route`."
    )

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
        if value is not None and not (_FUNCTION_NAME.fullmatch(value) or is_local_file(value)):
            raise PydanticCustomError(
                "function",
                "must be the name of a Lambda function, or ./folder/app.py:handler locally",
            )
        return value

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> "CodeFields":
        if self.kind == "dialogue":
            for name in filter(self._differs, _ONLY_OF_CODE):
                raise issue_at((name,), "only an agent of kind code has it; remove it")
            return self
        for name in filter(self._differs, _NOT_OF_CODE):
            text = f"an agent of kind code does not have it: {_NOT_OF_CODE[name]}"
            raise issue_at((name,), text)
        return self

    def _differs(self, name: str) -> bool:
        """Return whether a field has another value than its default."""
        field = type(self).model_fields[name]
        return bool(getattr(self, name) != field.get_default(call_default_factory=True))
