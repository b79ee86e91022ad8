"""The test support's check of key values: it finds an empty value in every kind of call."""

from typing import Any

import pytest

from tests.support.key_values import key_values

EMPTY = {"S": ""}
FULL = {"pk": {"S": "a"}, "sk": EMPTY}
CALLS: list[dict[str, Any]] = [
    {"Key": FULL},
    {"RequestItems": {"t": {"Keys": [FULL]}}},
    {"RequestItems": {"t": [{"PutRequest": {"Item": FULL}}, {"DeleteRequest": {"Key": FULL}}]}},
    {"TransactItems": [{"Update": {"Key": FULL}}]},
    {"Item": {"pk": {"S": "a"}, "started_key": EMPTY}},
    {
        "KeyConditionExpression": "#pk = :pk AND #sk BETWEEN :from AND :until",
        "ExpressionAttributeValues": {":pk": {"S": "a"}, ":from": EMPTY, ":until": {"S": "b"}},
    },
    {
        "UpdateExpression": "SET #status_key = :f0, #name = :f1",
        "ExpressionAttributeNames": {"#status_key": "status_key", "#name": "name"},
        "ExpressionAttributeValues": {":f0": EMPTY, ":f1": EMPTY},
    },
]


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_key_value_is_found(call: dict[str, Any]) -> None:
    assert EMPTY in [value for _, value in key_values(call)]


def test_other_attributes_may_be_empty() -> None:
    call = {
        "Item": {"pk": {"S": "a"}, "title": EMPTY},
        "UpdateExpression": "SET #title = :f0",
        "ExpressionAttributeNames": {"#title": "title"},
        "ExpressionAttributeValues": {":f0": EMPTY},
    }
    assert [value for _, value in key_values(call)] == [{"S": "a"}]
