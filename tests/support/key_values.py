"""DynamoDB refuses empty texts as values of keys; the emulator takes them. So the tests refuse."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore import handlers

_DEFINED = re.compile(r"AttributeName: (\w+), AttributeType")
_KEY_ATTRIBUTES = frozenset(_DEFINED.findall(Path("template.yaml").read_text(encoding="utf-8")))
_SET = re.compile(r"(#\w+) = (:\w+)")
_VALUE = re.compile(r":\w+")


def refuse_empty_keys() -> None:
    """Let every DynamoDB client of this process raise AssertionError at an empty key value."""
    builtin: list[Any] = handlers.BUILTIN_HANDLERS
    builtin.append(("provide-client-params.dynamodb", _check))


def _check(params: Any, model: Any, **_: Any) -> None:
    empty = [name for name, value in key_values(params) if value == {"S": ""}]
    assert not empty, f"DynamoDB refuses {model.name}: {', '.join(empty)} is empty"


def key_values(params: Any) -> Iterator[tuple[str, Any]]:
    """Return each value of a key in a call, with its name, as the call's parameters hold it."""
    if isinstance(params, list | tuple):
        for one in params:
            yield from key_values(one)
    elif isinstance(params, dict):
        for key in [params.get("Key", {}), *params.get("Keys", ())]:
            yield from key.items()
        item = params.get("Item", {})
        yield from ((name, item[name]) for name in item if name in _KEY_ATTRIBUTES)
        yield from _in_expressions(params)
        for name, value in params.items():
            if name not in ("Key", "Keys", "Item"):
                yield from key_values(value)


def _in_expressions(params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    values = params.get("ExpressionAttributeValues", {})
    names = params.get("ExpressionAttributeNames", {})
    for name in _VALUE.findall(params.get("KeyConditionExpression", "")):
        yield name, values[name]
    for name, value in _SET.findall(params.get("UpdateExpression", "")):
        if names.get(name) in _KEY_ATTRIBUTES:
            yield names[name], values[value]
