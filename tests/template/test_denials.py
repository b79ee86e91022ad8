"""What roles deny: explicit denials hold even if another statement allows too much."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from runyard_service.adapters.dynamodb import keys
from tests.template.repository import CALLED_BY_THE_MACHINE, ENDPOINTS, FUNCTIONS, Translated

WITH_RECORDS = (*ENDPOINTS, *CALLED_BY_THE_MACHINE, "SweepFunction")
READ, CREATE, CHANGE = "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"
WRITES = {CREATE, CHANGE}
EVERYTHING = {READ, *WRITES}

KEY = str(keys.access_key("hash")["pk"])
LISTED_KEY = str(keys.listed_access_key("id")["pk"])
PROJECT = str(keys.project("support")["pk"])
ORGANIZATION = str(keys.org_project("org", "support")["pk"])
WEBHOOK_SECRETS = str(keys.webhook_secrets("id")["pk"])

_WORKER = {
    KEY: EVERYTHING,
    LISTED_KEY: EVERYTHING,
    ORGANIZATION: EVERYTHING,
    WEBHOOK_SECRETS: EVERYTHING,
    PROJECT: WRITES,  # A daily cap is in the project's record.
}
_COMMON = {LISTED_KEY: WRITES, PROJECT: WRITES, ORGANIZATION: WRITES}
# The denied actions in each partition with credentials.
DENIED: dict[str, dict[str, set[str]]] = {
    # It creates and revokes keys, and cannot claim a project for them.
    "ApiFunction": {**_COMMON, LISTED_KEY: {CHANGE}, KEY: set(), WEBHOOK_SECRETS: set()},
    "StreamFunction": {**_COMMON, KEY: {CREATE}, WEBHOOK_SECRETS: EVERYTHING},
    "SweepFunction": {**_COMMON, KEY: WRITES, WEBHOOK_SECRETS: EVERYTHING},
    **dict.fromkeys(CALLED_BY_THE_MACHINE, _WORKER),
}


def denies(statement: dict[str, Any], action: str, partition: str) -> bool:
    """Return whether a statement denies the action in a partition of the records table."""
    condition = statement.get("Condition", {}).get("ForAnyValue:StringLike", {})
    return any(fnmatchcase(action, denied) for denied in statement["Action"]) and any(
        fnmatchcase(partition, pattern) for pattern in condition.get("dynamodb:LeadingKeys", ())
    )


@pytest.mark.parametrize("function", WITH_RECORDS)
def test_a_function_cannot_use_partitions_with_credentials(
    translated: Translated, function: str
) -> None:
    denials = list(translated.denials(f"{function}Role"))
    found = {
        partition: {
            action
            for action in EVERYTHING
            if any(denies(statement, action, partition) for statement in denials)
        }
        for partition in DENIED[function]
    }
    assert found == DENIED[function]


def test_functions_without_these_denials_are_limited_to_other_partitions(
    translated: Translated,
) -> None:
    """Their grants name partitions; deliver_webhook needs the secrets of webhooks."""
    for function in set(FUNCTIONS) - set(WITH_RECORDS):
        for statement in translated.statements(f"{function}Role"):
            if statement["Resource"] != {"Fn::GetAtt": ["RecordsTable", "Arn"]}:
                continue
            condition = statement["Condition"]["ForAllValues:StringLike"]
            for pattern in condition["dynamodb:LeadingKeys"]:
                for partition in (KEY, LISTED_KEY, PROJECT, ORGANIZATION):
                    assert not fnmatchcase(partition, pattern), function


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_create_a_log_group(translated: Translated, function: str) -> None:
    """SAM's managed policy allows it. After `sam delete`, a late line would create the group again.

    The next deployment under the same name then fails, because the group exists.
    """
    denied = [
        statement
        for statement in translated.denials(f"{function}Role")
        if "logs:CreateLogGroup" in statement["Action"]
    ]
    assert [statement["Resource"] for statement in denied] == ["*"]
    assert "Condition" not in denied[0]


IN_VPC = ("RunStepFunction", "DeliverWebhookFunction")


def test_only_functions_that_call_other_services_can_be_in_a_vpc(translated: Translated) -> None:
    configured = {
        name: translated.properties(name)["VpcConfig"]
        for name in FUNCTIONS
        if "VpcConfig" in translated.properties(name)
    }
    config = {
        "SubnetIds": {"Ref": "SubnetIds"},
        "SecurityGroupIds": {"Ref": "SecurityGroupIds"},
    }
    optional = {"Fn::If": ["HasVpc", config, {"Ref": "AWS::NoValue"}]}
    assert configured == dict.fromkeys(IN_VPC, optional)


@pytest.mark.parametrize("function", IN_VPC)
def test_code_in_a_vpc_may_not_use_the_network_permissions_of_lambda(
    translated: Translated, function: str
) -> None:
    managed = str(translated.properties(f"{function}Role")["ManagedPolicyArns"])
    assert "AWSLambdaVPCAccessExecutionRole" in managed
    [denial] = [
        statement
        for statement in translated.denials(f"{function}Role")
        if "ec2:CreateNetworkInterface" in statement["Action"]
    ]
    assert denial["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


def test_every_role_has_the_boundary_and_the_path_of_the_parameters(
    translated: Translated,
) -> None:
    boundary = {
        "Fn::If": [
            "HasPermissionsBoundary",
            {"Ref": "PermissionsBoundaryArn"},
            {"Ref": "AWS::NoValue"},
        ]
    }
    for name, role in translated.of_type("AWS::IAM::Role").items():
        assert role["PermissionsBoundary"] == boundary, name
        assert role["Path"] == {"Ref": "RolePath"}, name
