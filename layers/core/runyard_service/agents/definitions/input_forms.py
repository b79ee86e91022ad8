"""What a question to a person may be, and what is an answer to it: a text, a choice, or a form.

A form is a JSON Schema of type object, and the answer is an object that fits it. The question's
`params` hold it under `form`, the choices under `choices`, and under `default` what the model is
told if nobody answers in time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from runyard_service.agents.definitions.schemas import validate

# The person's program has to show it, and it stands in a few places that have their own bounds.
MAX_FORM_BYTES = 16 * 1024
MAX_FORM_DEPTH = 16
MAX_CHOICES = 100
# What a person is shown (prompt and params) and what a person gives are kept in one item of 400 KB.
MAX_FORMATTED_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 128 * 1024

# A few short definitions that name each other twice would take for ever to check.
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})

ValidationIssue = tuple[tuple[str | int, ...], str]


def size_of(value: Any) -> int:
    """The bytes of a value as JSON, as it is kept."""
    return len(json.dumps(value))


def form_issue(form: Mapping[str, Any]) -> ValidationIssue | None:
    """Where the form cannot be used, and why; None where it can."""
    if form.get("type") != "object":
        return ("type",), "must be object"
    if size_of(form) > MAX_FORM_BYTES:
        return (), f"must be at most {MAX_FORM_BYTES} bytes as JSON"
    for path, value in _mappings(form, ()):
        if len(path) > MAX_FORM_DEPTH:
            return (), f"must be nested at most {MAX_FORM_DEPTH} deep"
        if reference := next(iter(_REFERENCES & value.keys()), None):
            return (*path, reference), "cannot be used in a form"
    try:
        jsonschema_rs.validator_for(dict(form), offline=True)
    except jsonschema_rs.ValidationError as error:
        return tuple(error.instance_path), f"is not a valid JSON Schema: {error.message}"
    return None


def choices_issue(choices: Sequence[str]) -> ValidationIssue | None:
    """Which of the choices cannot be chosen, and why; None where each one can."""
    if len(choices) > MAX_CHOICES:
        return (), f"must have at most {MAX_CHOICES} items"
    offered = [choice.strip() for choice in choices]
    for place, choice in enumerate(offered):
        if not choice:
            return (place,), "cannot be blank"
        if choice in offered[:place]:
            return (place,), "is duplicated"
    return None


def validate_request(call_input: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the choices or the form that a model gives; empty where nothing is."""
    if "choices" in call_input and "form" in call_input:
        return {"form": "cannot be combined with choices"}
    faults = {}
    if "choices" in call_input and (fault := choices_issue(call_input["choices"])):
        faults[_path("choices", fault)] = fault[1]
    if "form" in call_input and (fault := form_issue(call_input["form"])):
        faults[_path("form", fault)] = fault[1]
    return faults


def normalize(params: Mapping[str, Any], feedback: Any) -> Any:
    """The answer as it is recorded: of choices, without the white space around it."""
    if params.get("choices") and isinstance(feedback, str):
        return feedback.strip()
    return feedback


def validate_answer(params: Mapping[str, Any], feedback: Any) -> dict[str, str]:
    """What is wrong with a fitted answer to a question with these params, by `feedback.<path>`."""
    if feedback is None or (isinstance(feedback, str) and not feedback.strip()):
        return {"feedback": "cannot be blank"}
    if size_of(feedback) > MAX_ANSWER_BYTES:
        return {"feedback": f"must be at most {MAX_ANSWER_BYTES} bytes as JSON"}
    if choices := params.get("choices"):
        if feedback not in choices:
            return {"feedback": f"must be one of: {', '.join(choices)}"}
        return {}
    if form := params.get("form"):
        return validate(form, feedback, under="feedback")
    return {}


def feedback_as_text(answer: Any) -> str:
    """The answer as the model is told it: a text as it is, anything else as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _path(name: str, fault: ValidationIssue) -> str:
    return ".".join(map(str, (name, *fault[0])))


def _mappings(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Every mapping in the value, and the way to it."""
    if isinstance(value, Mapping):
        yield path, value
        for name, inner in value.items():
            yield from _mappings(inner, (*path, name))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _mappings(inner, (*path, place))
