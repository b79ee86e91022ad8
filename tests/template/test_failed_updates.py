"""A rehearsal of updates that fail, at each resource that a parameter touches.

`make test-deploy` does the same on an emulator of AWS, for a release and for parameters.
"""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.template.failed_update import deleted, left_by_rollback, rejected, update_of
from tests.template.repository import ROOT, Translated

PAGE = (ROOT / "docs" / "how-to" / "operations.md").read_text(encoding="utf-8")
DATA = {"EventsTable", "RecordsTable", "Bucket"}
# Types whose replacement loses data or messages, or changes an address that callers know.
LASTING = {
    "AWS::ApiGatewayV2::Api",
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Lambda::Function",
    "AWS::Lambda::Url",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
    "AWS::SQS::Queue",
    "AWS::StepFunctions::StateMachine",
}
BEFORE = {"Stage": "dev"}
_KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
_STREAM = {"ExistingEventsTableName": "restored", "ExistingEventsStreamLabel": "2026-01-01"}
# Another value of every parameter, with the parameters that it needs.
OTHER_VALUES: dict[str, dict[str, str]] = {
    **{name: {name: "another"} for name in ("DefaultAgent", "DefaultPersona")},
    "Stage": {"Stage": "prod"},
    "AgentVariables": {"AgentVariables": '{"A": "b"}'},
    "PreloadProviders": {"PreloadProviders": "anthropic"},
    "HttpAllowedPrivateHosts": {"HttpAllowedPrivateHosts": "10.0.0.1:80"},
    "WebhookAllowedPrivateHosts": {"WebhookAllowedPrivateHosts": "10.0.0.1:80"},
    "ModelSecretPrefix": {"ModelSecretPrefix": "another/"},
    "ToolFunctionPrefix": {"ToolFunctionPrefix": "another-"},
    "AgentFunctionPrefix": {"AgentFunctionPrefix": "another-"},
    "BedrockModelArns": {"BedrockModelArns": "arn:aws:bedrock:*::foundation-model/one"},
    "Console": {"Console": "false"},
    "CorsOrigin": {"CorsOrigin": "https://example.com"},
    "ProjectMaxActiveRuns": {"ProjectMaxActiveRuns": "7"},
    "ProjectDailyUsd": {"ProjectDailyUsd": "7"},
    "ApiConcurrency": {"ApiConcurrency": "7"},
    "StreamConcurrency": {"StreamConcurrency": "7"},
    "RunStepConcurrency": {"RunStepConcurrency": "7"},
    "RunStepMemory": {"RunStepMemory": "512"},
    "StreamMemory": {"StreamMemory": "512"},
    "ExistingEventsTableName": _STREAM,
    "ExistingEventsStreamLabel": _STREAM,
    "ExistingRecordsTableName": {"ExistingRecordsTableName": "restored"},
    "ExistingBucketName": {"ExistingBucketName": "restored"},
    "WebAdapterLayerArn": {
        "WebAdapterLayerArn": "arn:aws:lambda:us-east-1:123456789012:layer:Adapter:1"
    },
    "SubnetIds": {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"},
    "SecurityGroupIds": {"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"},
    "PermissionsBoundaryArn": {"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/one"},
    "RolePath": {"RolePath": "/runyard/"},
    "AccountConcurrency": {"AccountConcurrency": "2000"},
    "MonthlyBudgetUsd": {"MonthlyBudgetUsd": "7", "AlarmEmail": "ops@example.com"},
    "AlarmTopicArn": {"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:topic"},
    "AlarmEmail": {"AlarmEmail": "ops@example.com"},
    "KmsKeyArn": {"KmsKeyArn": _KEY},
    "OtlpEndpoint": {"OtlpEndpoint": "https://collector.example"},
    "OtlpHeadersSecret": {"OtlpHeadersSecret": "runyard/otlp"},
    "OtlpContent": {"OtlpContent": "true"},
    "LogLevel": {"LogLevel": "DEBUG"},
    "RetentionDays": {"RetentionDays": "7"},
    "LogRetentionDays": {"LogRetentionDays": "7"},
}


@pytest.fixture(scope="session")
def whole(check_template: Callable[..., Any]) -> Translated:
    """Return the translated template with its conditions on the stack's own data."""
    done = check_template("--translated")
    assert done.returncode == 0, done.stderr
    return Translated(json.loads(done.stdout))


def test_the_rehearsal_changes_every_parameter(whole: Translated) -> None:
    assert set(OTHER_VALUES) == set(whole.document["Parameters"])


@pytest.mark.parametrize("back", [False, True], ids=["set", "removed"])
@pytest.mark.parametrize("parameter", OTHER_VALUES)
def test_a_parameter_can_be_changed_and_a_failure_leaves_the_data(
    whole: Translated, parameter: str, back: bool
) -> None:
    states = BEFORE, BEFORE | OTHER_VALUES[parameter]
    update = update_of(whole, *(reversed(states) if back else states))
    resources = whole.document["Resources"]
    assert update.touched, "the parameter has no effect"
    assert rejected(whole, update) == set()
    assert {name for name in update.replaced if resources[name]["Type"] in LASTING} == set()
    assert not DATA & deleted(whole, update)
    for failed in update.touched:
        left = left_by_rollback(whole, update, failed)
        assert left <= (DATA if back and parameter.startswith("Existing") else set())


def _name_after_the_stage(resources: dict[str, Any]) -> None:
    resources["RecordsTable"]["Properties"]["TableName"] = {"Fn::Sub": "records-${Stage}"}


def _delete_a_table_with_its_stack(resources: dict[str, Any]) -> None:
    resources["EventsTable"]["DeletionPolicy"] = "Delete"


def test_the_rehearsal_finds_a_replaced_table(whole: Translated) -> None:
    faulty = Translated(copy.deepcopy(whole.document))
    _name_after_the_stage(faulty.document["Resources"])
    update = update_of(faulty, BEFORE, {"Stage": "prod"})
    assert update.replaced >= {"RecordsTable"}
    assert rejected(faulty, update) == {"RecordsTable"}


def test_the_rehearsal_finds_a_table_that_is_deleted(whole: Translated) -> None:
    faulty = Translated(copy.deepcopy(whole.document))
    _delete_a_table_with_its_stack(faulty.document["Resources"])
    update = update_of(faulty, BEFORE, BEFORE | _STREAM)
    assert DATA & deleted(faulty, update) == {"EventsTable"}


def test_the_runbook_handles_every_status_of_a_failed_update() -> None:
    [_, section] = PAGE.split("\n## An update that failed\n")
    section = section.partition("\n## ")[0]
    statuses = set(re.findall(r"`((?:UPDATE|REVIEW)_[A-Z_]+)`", section))
    assert statuses >= {
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_ROLLBACK_FAILED",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_FAILED",
    }
    assert "continue-update-rollback" in section
