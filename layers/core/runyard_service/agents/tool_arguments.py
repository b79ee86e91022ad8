"""The arguments of a tool call as the model writes them: JSON text that can be invalid."""

import json
from collections.abc import Mapping
from typing import Any

import pydantic_core

# The only key of the input of a call whose arguments were no JSON object: the model's text. The
# call is not made, and the model receives an error.
INVALID_ARGUMENTS = "__invalid_arguments__"

_TYPES: Mapping[type, str] = {
    str: "a string",
    list: "an array",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def parse_arguments(arguments: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the arguments of a call: an object, empty if there are none.

    Return `{INVALID_ARGUMENTS: text}` for what is not a JSON object. This includes NaN and half a
    surrogate pair, which no JSON reader accepts.
    """
    if arguments is None:
        return {}
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    if not arguments.strip():
        return {}
    try:
        parsed = pydantic_core.from_json(join_surrogates(arguments), allow_inf_nan=False)
    except (TypeError, ValueError):  # TypeError: a lone surrogate.
        parsed = None
    return parsed if isinstance(parsed, dict) else {INVALID_ARGUMENTS: encodable(arguments)}


def describe_invalid(call_input: Mapping[str, Any]) -> str:
    """Return the error for the model: where its text stops to be JSON, or what it is instead."""
    text = call_input[INVALID_ARGUMENTS]
    try:
        parsed = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        return f"The arguments are not valid JSON: {error}. Send one JSON object."
    return f"The arguments are {_TYPES[type(parsed)]}. Send one JSON object."


def join_surrogates(text: str) -> str:
    """Return the text with a character for each pair of surrogates. Others stay."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def encodable(text: str) -> str:
    """Return the text with a character for each pair of surrogates, and `?` for other surrogates.

    Some servers send lone surrogates, and no store accepts them.
    """
    return join_surrogates(text).encode("utf-8", "replace").decode("utf-8")
