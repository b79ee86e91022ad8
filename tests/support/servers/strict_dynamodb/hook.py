"""Add the rules and the faults to every DynamoDB client of this process."""

import os
from typing import Any

from botocore import handlers
from botocore.awsrequest import AWSResponse

from tests.support.servers.strict_dynamodb import faults
from tests.support.servers.strict_dynamodb.http_exchange import DynamoDbCall
from tests.support.servers.strict_dynamodb.request_parts import parts_of
from tests.support.servers.strict_dynamodb.rules import RULES

_DATA_OPERATIONS = frozenset(
    {
        *("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"),
        *("BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems"),
    }
)


def install() -> None:
    """Check the calls of all clients whose session is created from now on. Safe to repeat."""
    builtin: list[Any] = handlers.BUILTIN_HANDLERS
    spec = ("before-send.dynamodb", _before_send)
    if spec not in builtin:
        builtin.append(spec)
        if setting := os.environ.get(faults.RATE_VARIABLE):
            faults.inject_at_rate(setting)


def _before_send(request: Any, **_: Any) -> AWSResponse | None:
    """Return the response to a rejected request, or None to let botocore send it."""
    call = DynamoDbCall.read(request)
    if call.operation not in _DATA_OPERATIONS:
        return None
    return rejection(call) or faults.response_to(call)


def rejection(call: DynamoDbCall) -> AWSResponse | None:
    """Return DynamoDB's error for the first rule that the call breaks."""
    parts = list(parts_of(call))
    for rule in RULES:
        for part in parts:
            message = rule.check(part)
            if message is None:
                continue
            if rule.cancels and part.position is not None:
                reasons = [{"Code": "None"} for _ in call.body["TransactItems"]]
                reasons[part.position] = {"Code": "ValidationError", "Message": message}
                return call.cancel(reasons)
            return call.reject("ValidationException", message)
    return None
