"""The parts of an agent file that involve a person: `ask_human` and approval rules."""

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
from runyard_service.agents.definitions.json_schema.checks import misspelt_name


def _check_expiry(expires_in: float | None, on_expiry: str) -> None:
    if expires_in is None and on_expiry != "keep_waiting":
        raise issue_at(("on_expiry",), f"{on_expiry!r} needs expires_in")


class ApprovalRule(FrozenModel):
    """The condition under which a tool call waits for approval, and the editable arguments.

    `when` is a condition on the call's arguments; without it every call waits. `prompt` may name
    arguments as `{{ input.name }}`; the default prompt names the tool and its arguments.
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


def mode_as_rule(value: Any) -> Any:
    """Translate `never` and `always` to a rule."""
    if value == "never":
        return None
    if value == "always":
        return {}
    if isinstance(value, str | bool):
        raise issue_at((), "must be never, always, or a mapping")
    return value


Approval = Annotated[ApprovalRule | None, BeforeValidator(mode_as_rule)]


class AskHuman(FrozenModel):
    """The built-in tool that requests input. The model writes the prompt and receives the answer.

    With `choices` or a `form`, every request uses them; without, the model may choose either.
    `default` is the answer that the model receives if the request expires.
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
        form = self.form
        for name, issue in (
            ("choices", choices_issue(self.choices or ())),
            ("form", None if form is None else form_issue(form) or misspelt_name(form)),
        ):
            if issue:
                raise issue_at((name, *issue[0]), issue[1])
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
        """Return the choices or the form of the tool, as in the `params` of an input request."""
        if self.choices is not None:
            return {"choices": [choice.strip() for choice in self.choices]}
        return {} if self.form is None else {"form": self.form}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return the JSON Schema of the arguments: a prompt, and what the tool does not set."""
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
                " person must enter several values. Not together with choices.",
            }
        return {
            "type": "object",
            "properties": properties,
            "required": ["prompt"],
            "additionalProperties": False,
        }
