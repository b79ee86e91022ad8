"""Every rule of DynamoDB rejects a request that breaks it, with DynamoDB's own error."""

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from runyard_dev.dev_stack import DevStack
from tests.integration.dynamodb.added_rules import ADDED_RULES
from tests.integration.dynamodb.broken_requests import RECORDS, BrokenRule
from tests.integration.dynamodb.emulated_rules import EMULATED_RULES
from tests.support.servers.strict_dynamodb.rules import RULES


@pytest.fixture(scope="module")
def client(stack: DevStack) -> Any:
    """Return a client that sends requests as they are, without botocore's own checks."""
    names = stack.environment
    session = boto3.Session(
        aws_access_key_id="local", aws_secret_access_key="local", region_name=names["AWS_REGION"]
    )
    return session.client(
        "dynamodb",
        endpoint_url=names["AWS_ENDPOINT_URL_DYNAMODB"],
        config=Config(parameter_validation=False, proxies={}, retries={"total_max_attempts": 1}),
    )


@pytest.mark.parametrize("case", ADDED_RULES + EMULATED_RULES, ids=lambda case: case.name)
def test_a_request_that_breaks_a_rule_gets_the_error_of_dynamodb(
    stack: DevStack, client: Any, case: BrokenRule
) -> None:
    name = stack.environment["RECORDS_TABLE"]
    request = json.loads(json.dumps(case.request).replace(f'"{RECORDS}"', f'"{name}"'))
    with pytest.raises(ClientError) as caught:
        getattr(client, case.operation)(**request)
    response: Any = caught.value.response
    assert response["Error"]["Code"] == case.code
    assert case.message in response["Error"]["Message"]
    assert [reason["Code"] for reason in response.get("CancellationReasons", ())] == case.reasons
    # Without the rules, the emulator would have accepted it.
    assert (response["ResponseMetadata"].get("RequestId") == "strict") == bool(case.rule)


def test_every_rule_has_a_request_that_breaks_it() -> None:
    assert {case.rule for case in ADDED_RULES} == {rule.name for rule in RULES}


def test_requests_at_the_limits_are_accepted(stack: DevStack, client: Any) -> None:
    name = stack.environment["RECORDS_TABLE"]
    key = {"pk": {"S": "p" * 2048}, "sk": {"S": "s" * 1024}}
    index_keys = {"project_id": {"S": "i" * 2048}, "started_key": {"S": "t" * 1024}}
    client.put_item(TableName=name, Item={**key, **index_keys})
    names = {f"#n{number}": f"name{number}" for number in range(100)}
    client.update_item(
        TableName=name,
        Key=key,
        UpdateExpression="SET " + ", ".join(f"{alias} = :v" for alias in names),
        ConditionExpression="sk IN (" + ", ".join([":v"] * 99 + [":s"]) + ")",
        ExpressionAttributeNames=names,
        ExpressionAttributeValues={":v": {"S": "x"}, ":s": key["sk"]},
    )
    found = client.query(
        TableName=name,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": key["pk"]},
        ExclusiveStartKey={"pk": key["pk"], "sk": {"S": "a"}},
    )
    assert found["Items"][0]["name99"] == {"S": "x"}
    client.delete_item(TableName=name, Key=key)
