"""Validation of input requests and their answers: a text, a choice, or a form.

A form is a JSON Schema of type object, and the answer is an object that matches it. The `params`
of the request hold `form`, `choices`, and `default`: the answer for the model if it expires.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runyard_service.agents.definitions.json_schema.checks import schema_issue
from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.domain.events import to_json

# The client must display the form, and several stored items with size limits contain it.
MAX_FORM_BYTES = 16 * 1024
MAX_FORM_DEPTH = 16
MAX_CHOICES = 100
# One DynamoDB item (at most 400 KB) stores the formatted request (prompt, params) and the answer.
MAX_FORMATTED_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 128 * 1024

# Validation of a few short definitions that refer to each other twice takes exponential time.
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})

ValidationIssue = tuple[tuple[str | int, ...], str]


def size_of(value: Any) -> int:
    """Return the size of a value as stored JSON, in bytes of UTF-8."""
    return len(to_json(value))


def form_issue(form: Mapping[str, Any]) -> ValidationIssue | None:
    """Return the path and message of the first error of the form, or None."""
    if form.get("type") != "object":
        return ("type",), "must be object"
    if size_of(form) > MAX_FORM_BYTES:
        return (), f"must be at most {MAX_FORM_BYTES} bytes as JSON"
    for path, value in _mappings(form, ()):
        if len(path) > MAX_FORM_DEPTH:
            return (), f"must be nested at most {MAX_FORM_DEPTH} deep"
        if reference := next(iter(_REFERENCES & value.keys()), None):
            return (*path, reference), "cannot be used in a form"
    return schema_issue(form)


def choices_issue(choices: Sequence[str]) -> ValidationIssue | None:
    """Return the path and message of the first invalid choice, or None."""
    if len(choices) > MAX_CHOICES:
        return (), f"must have at most {MAX_CHOICES} items"
    offered = [choice.strip() for choice in choices]
    for index, choice in enumerate(offered):
        if not choice:
            return (index,), "cannot be blank"
        if choice in offered[:index]:
            return (index,), "is duplicated"
    return None


def validate_request(call_input: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of the choices or the form of a model's call, by path."""
    if "choices" in call_input and "form" in call_input:
        return {"form": "cannot be combined with choices"}
    errors = {}
    if "choices" in call_input and (issue := choices_issue(call_input["choices"])):
        errors[_path("choices", issue)] = issue[1]
    if "form" in call_input and (issue := form_issue(call_input["form"])):
        errors[_path("form", issue)] = issue[1]
    return errors


def normalize(params: Mapping[str, Any], feedback: Any) -> Any:
    """Return the answer as recorded: a choice is stripped of surrounding white space."""
    if params.get("choices") and isinstance(feedback, str):
        return feedback.strip()
    return feedback


def validate_answer(params: Mapping[str, Any], feedback: Any) -> dict[str, str]:
    """Return the errors of a normalized answer to a request, by `feedback.<path>`."""
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
    """Return the answer for the model: a string unchanged, any other value as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _path(name: str, issue: ValidationIssue) -> str:
    return ".".join(map(str, (name, *issue[0])))


def _mappings(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Yield every mapping in the value with its path."""
    if isinstance(value, Mapping):
        yield path, value
        for name, inner in value.items():
            yield from _mappings(inner, (*path, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _mappings(inner, (*path, index))
