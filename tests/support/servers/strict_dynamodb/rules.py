"""The documented rules of DynamoDB that the emulator does not enforce.

Each rule names the page of AWS's documentation that states it. A check returns DynamoDB's message
for a part of a request that breaks the rule, or None. The emulator enforces many more rules itself;
`tests/integration/dynamodb/test_strict_dynamodb.py` sends a request against each of both kinds.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.support.servers.strict_dynamodb.request_parts import Part, Value, size_in_bytes

_LIMITS = "Amazon DynamoDB Developer Guide: Quotas in Amazon DynamoDB"
_CONSTRAINTS = "Amazon DynamoDB Developer Guide: Constraints in Amazon DynamoDB"
_QUERY = "Amazon DynamoDB API Reference: Query"
_TRANSACT = "Amazon DynamoDB API Reference: TransactWriteItems"

MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024
MAX_EXPRESSION_BYTES = 4096
MAX_OPERATORS = 300
MAX_IN_OPERANDS = 100
MAX_NAME_BYTES = 65_535

_INVALID = "One or more parameter values were invalid: "
_PARTITION_KEY_SIZE = (
    # DynamoDB has no space before the number.
    f"{_INVALID}Size of hashkey has exceeded the maximum size limit of"
    f"{MAX_PARTITION_KEY_BYTES} bytes"
)
_SORT_KEY_SIZE = (
    f"{_INVALID}Aggregated size of all range keys has exceeded the size limit of "
    f"{MAX_SORT_KEY_BYTES} bytes"
)
_UPDATED_INDEX_KEY_SIZE = (
    "The update expression attempted to update the secondary index key beyond allowed size limits"
)
_OPERATOR = re.compile(
    r"<>|<=|>=|[=<>+-]|\b(?:AND|OR|NOT|BETWEEN|IN)\b|\b(?:attribute_exists|attribute_not_exists|"
    r"attribute_type|begins_with|contains|size|if_not_exists|list_append)\b",
    re.IGNORECASE,
)
_IN_LIST = re.compile(r"\bIN\s*\(([^)]*)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """A rule, the page that states it, and its check."""

    name: str
    page: str
    check: Callable[[Part], str | None]
    cancels: bool = False
    """In a transaction, DynamoDB reports it as the reason of a cancellation."""


def _empty_key_condition(part: Part) -> str | None:
    for name, value in part.key_conditions():
        for kind, word in (("S", "string"), ("B", "binary")):
            if value.get(kind) == "":
                return (
                    "One or more parameter values are not valid. The AttributeValue for a key "
                    f"attribute cannot contain an empty {word} value. Key: {name}"
                )
    return None


def _key_condition_size(part: Part) -> str | None:
    if part.schema is None:
        return None
    partition_key, _ = part.schema.key_of(part.content.get("IndexName"))
    for name, value in part.key_conditions():
        if message := _size_message(value, is_partition_key=name == partition_key):
            return message
    return None


def _key_condition_type(part: Part) -> str | None:
    types = part.schema.types if part.schema else {}
    for name, value in part.key_conditions():
        if name in types and value and types[name] not in value:
            return f"{_INVALID}Condition parameter type does not match schema type"
    return None


def _index_key_size(part: Part) -> str | None:
    return next(_oversized_index_keys(part, part.content.get("Item", {}).items()), None)


def _updated_index_key_size(part: Part) -> str | None:
    if "UpdateExpression" not in part.content:
        return None
    is_oversized = any(True for _ in _oversized_index_keys(part, part.assigned()))
    return _UPDATED_INDEX_KEY_SIZE if is_oversized else None


def _oversized_index_keys(part: Part, values: Iterable[tuple[str, Value]]) -> Iterator[str]:
    if part.schema is None:
        return
    index_keys = part.schema.index_keys
    for name, value in values:
        if name in index_keys and (
            message := _size_message(value, is_partition_key=index_keys[name])
        ):
            yield message


def _size_message(value: Value, *, is_partition_key: bool) -> str | None:
    limit = MAX_PARTITION_KEY_BYTES if is_partition_key else MAX_SORT_KEY_BYTES
    if size_in_bytes(value) <= limit:
        return None
    return _PARTITION_KEY_SIZE if is_partition_key else _SORT_KEY_SIZE


def _expression_size(part: Part) -> str | None:
    for kind, text in part.expressions():
        if (size := len(text.encode())) > MAX_EXPRESSION_BYTES:
            return (
                f"Invalid {kind}: Expression size has exceeded the maximum allowed size; "
                f"expression size: {size}"
            )
    return None


def _operators(part: Part) -> str | None:
    for kind, text in part.expressions():
        # Most expressions are too short to have as many: counting would cost more than the call.
        if len(text) <= MAX_OPERATORS or kind == "ProjectionExpression":
            continue
        if len(_OPERATOR.findall(text)) > MAX_OPERATORS:
            return (
                f"Invalid {kind}: The expression contains too many operators; "
                f"maximum operators: {MAX_OPERATORS}"
            )
    return None


def _in_operands(part: Part) -> str | None:
    for kind, text in part.expressions():
        if text.count(",") < MAX_IN_OPERANDS:
            continue
        for listed in _IN_LIST.findall(text):
            if (number := listed.count(",") + 1) > MAX_IN_OPERANDS:
                return (
                    f"Invalid {kind}: The IN operator is provided with too many operands; "
                    f"number of operands: {number}"
                )
    return None


def _start_key(part: Part) -> str | None:
    start = part.content.get("ExclusiveStartKey", {})
    for name, value in part.key_conditions():
        is_partition_key = part.schema and part.schema.key_of(part.content.get("IndexName"))[0]
        if name == is_partition_key and name in start and start[name] != value:
            return (
                "The provided starting key is outside query boundaries based on provided conditions"
            )
    return None


def _projection(part: Part) -> str | None:
    index = part.content.get("IndexName")
    projected = part.schema.projected.get(index) if part.schema and index else None
    if projected is None or "ProjectionExpression" not in part.content:
        return None
    names = [part.attribute(name.strip()) for name in _first_names(part)]
    missing = [name for name in names if name not in projected]
    if not missing:
        return None
    return f"{_INVALID}Global secondary index {index} does not project [{', '.join(missing)}]"


def _first_names(part: Part) -> list[str]:
    paths = part.content["ProjectionExpression"].split(",")
    return [re.split(r"[.\[]", path, maxsplit=1)[0] for path in paths]


def _name_size(part: Part) -> str | None:
    if any(len(name.encode()) > MAX_NAME_BYTES for name in part.content.get("Item", {})):
        return f"Attribute name is too large, must be less than {MAX_NAME_BYTES} bytes"
    return None


RULES = (
    Rule("expression size", _LIMITS, _expression_size),
    Rule("operators in an expression", _LIMITS, _operators),
    Rule("operands of IN", _LIMITS, _in_operands),
    Rule("attribute name size", _LIMITS, _name_size),
    Rule("key condition type", _QUERY, _key_condition_type),
    Rule("empty key condition", _CONSTRAINTS, _empty_key_condition),
    Rule("key condition size", _LIMITS, _key_condition_size),
    Rule("starting key of another partition", _QUERY, _start_key),
    Rule("projection of an index", _QUERY, _projection),
    Rule("index key size", _LIMITS, _index_key_size),
    Rule("updated index key size", _TRANSACT, _updated_index_key_size, cancels=True),
)
