"""What in an agent's file involves a person: the tool that asks, and the approval of calls."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel, Seconds, ToolName
from runyard_service.agents.definitions.conditions import Condition
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.input_forms import (
    MAX_CHOICES,
    choices_issue,
    form_issue,
    normalize,
    validate_answer,
)


def _check_expiry(expires_in: float | None, on_expiry: str) -> None:
    if expires_in is None and on_expiry != "keep_waiting":
        raise issue_at(("on_expiry",), f"{on_expiry!r} needs expires_in")


class ApprovalRule(FrozenModel):
    """When a call of the tool waits for a person, and what that person may change.

    `when` is a condition on the call's arguments; without it every call waits. `prompt` may name
    arguments as `{{ input.name }}`; without one the person is told the tool and its arguments.
    `editable` lists the arguments that the person may change.
    """

    prompt: str | None = Field(None, min_length=1)
    when: Condition | None = None
    editable: tuple[str, ...] = ()
    expires_in: Seconds | None = None
    on_expiry: Literal["fail", "deny", "keep_waiting"] = "keep_waiting"

    @model_validator(mode="after")
    def _expiry_has_a_time(self) -> "ApprovalRule":
        _check_expiry(self.expires_in, self.on_expiry)
        return self


def _mode_as_rule(value: Any) -> Any:
    """The words for the two rules that have nothing to add."""
    if value == "never":
        return None
    if value == "always":
        return {}
    if isinstance(value, str | bool):
        raise issue_at((), "must be never, always, or a mapping")
    return value


Approval = Annotated[ApprovalRule | None, BeforeValidator(_mode_as_rule)]


class AskHuman(FrozenModel):
    """The built-in question to a person. The model gives the prompt; the answer goes back to it.

    With `choices` or a `form` of its own it always asks for those; without, the model may give
    either. `default` is what the model is told if nobody answers in time.
    """

    kind: Literal["ask_human"]
    name: ToolName = "ask_human"
    description: str = "Ask the person who is responsible a question, and wait for the answer."
    choices: tuple[str, ...] | None = Field(None, min_length=1)
    form: Mapping[str, Any] | None = None
    expires_in: Seconds | None = None
    on_expiry: Literal["fail", "use_default", "keep_waiting"] = "keep_waiting"
    default: str | Mapping[str, Any] | None = None

    @model_validator(mode="after")
    def _can_be_asked(self) -> "AskHuman":
        if self.choices is not None and self.form is not None:
            raise issue_at(("form",), "cannot be combined with choices")
        for name, fault in (
            ("choices", choices_issue(self.choices or ())),
            ("form", None if self.form is None else form_issue(self.form)),
        ):
            if fault:
                raise issue_at((name, *fault[0]), fault[1])
        return self

    @model_validator(mode="after")
    def _default_is_an_answer(self) -> "AskHuman":
        _check_expiry(self.expires_in, self.on_expiry)
        if self.default is None:
            if self.on_expiry == "use_default":
                raise issue_at(("on_expiry",), "'use_default' needs a default")
            return self
        if self.form is None and not isinstance(self.default, str):
            raise issue_at(("default",), "must be a string")
        params = self.fixed_params
        for name, text in validate_answer(params, normalize(params, self.default)).items():
            steps = [int(step) if step.isdigit() else step for step in name.split(".")[1:]]
            raise issue_at(("default", *steps), text)
        return self

    @property
    def fixed_params(self) -> Mapping[str, Any]:
        """What the tool itself asks for, as it stands in a question's `params`."""
        if self.choices is not None:
            return {"choices": [choice.strip() for choice in self.choices]}
        return {} if self.form is None else {"form": self.form}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of the question: a prompt, and what the tool does not fix itself."""
        properties: dict[str, Any] = {"prompt": {"type": "string", "minLength": 1}}
        if not self.fixed_params:
            properties["choices"] = {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "maxItems": MAX_CHOICES,
                "description": "What the person may choose from, if that is known.",
            }
            properties["form"] = {
                "type": "object",
                "description": "A JSON Schema of type object that the answer must fit, if the"
                " person is to give several things at once. Not together with choices.",
            }
        return {
            "type": "object",
            "properties": properties,
            "required": ["prompt"],
            "additionalProperties": False,
        }
