"""Each role has limited permissions: only for the work of its function."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from runyard_service.adapters.s3.agent_bundle import BUNDLE_KEY
from tests.template.repository import (
    CALLED_BY_THE_MACHINE,
    ENDPOINTS,
    FUNCTIONS,
    WITH_RUNS,
    Translated,
)

# The only actions of the template that AWS defines without a resource.
WITHOUT_RESOURCE = "logs:"
# The API deletes runs on request. The sweep deletes them later: after an early request, or expired.
DELETERS = ("ApiFunction", "SweepFunction")


def test_no_role_allows_an_action_by_wildcard(translated: Translated) -> None:
    wild = [
        (role, action)
        for role in translated.of_type("AWS::IAM::Role")
        for statement in translated.statements(role)
        for action in statement["Action"]
        if "*" in action
    ]
    assert wild == []


def test_no_statement_is_about_every_resource(translated: Translated) -> None:
    unbounded = [
        (role, statement.get("Sid"))
        for role in translated.of_type("AWS::IAM::Role")
        for statement in translated.statements(role)
        if "*" in statement["Resource"]
        and not all(action.startswith(WITHOUT_RESOURCE) for action in statement["Action"])
    ]
    assert unbounded == []


@pytest.mark.parametrize("function", WITH_RUNS)
def test_the_log_is_append_only_except_for_functions_that_delete_runs(
    translated: Translated, function: str
) -> None:
    events = {
        action
        for statement in translated.statements(f"{function}Role")
        if statement["Resource"] == {"Fn::GetAtt": ["EventsTable", "Arn"]}
        for action in statement["Action"]
    }
    deletes = {"dynamodb:BatchWriteItem"} if function in DELETERS else set()
    assert events <= {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"} | deletes
    assert deletes <= events


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_scan_a_table(translated: Translated, function: str) -> None:
    assert [action for action in translated.actions(function) if "Scan" in action] == []


def test_only_the_api_and_the_sweep_may_delete_runs_and_their_data(
    translated: Translated,
) -> None:
    rights = {
        function: {
            (action, part)
            for statement in translated.statements(f"{function}Role")
            for action in statement["Action"]
            if "Delete" in action or "BatchWrite" in action
            if not action.startswith("sqs:")  # A processed message.
            for part in _parts(statement)
        }
        for function in FUNCTIONS
    }
    folders = ("runs", "threads", "files", "uploads", "checkpoints")
    deleting = {
        ("dynamodb:BatchWriteItem", "EventsTable"),
        *(("dynamodb:BatchWriteItem", part) for part in ("RUN#*", "THREAD#*", "MARKERS#*")),
        *(("dynamodb:DeleteItem", part) for part in ("FILE#*", "THREAD#*")),
        *(("s3:DeleteObject", f"${{Bucket.Arn}}/{folder}/*") for folder in folders),
    }
    assert {function: rights[function] for function in DELETERS} == dict.fromkeys(
        DELETERS, deleting
    )
    assert [function for function in set(FUNCTIONS) - {*DELETERS} if rights[function]] == []


def test_functions_that_delete_runs_may_list_only_payloads(translated: Translated) -> None:
    listing = {
        function: statement["Condition"]
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if "s3:ListBucket" in statement["Action"]
    }
    assert listing == {name: {"StringLike": {"s3:prefix": "runs/*"}} for name in DELETERS}


def test_only_the_api_and_the_sweep_may_complete_tasks_of_a_state_machine(
    translated: Translated,
) -> None:
    allowed = {
        function
        for function in FUNCTIONS
        if any(action.startswith("states:SendTask") for action in translated.actions(function))
    }
    assert allowed == {"ApiFunction", "SweepFunction"}


def _parts(statement: Mapping[str, Any]) -> list[str]:
    """Return the parts of a table or a bucket to which a statement applies."""
    if "Condition" in statement:
        keys: list[str] = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        return keys
    return [
        str(resource["Fn::Sub"] if "Fn::Sub" in resource else resource["Fn::GetAtt"][0])
        for resource in _as_list(statement["Resource"])
    ]


@pytest.mark.parametrize("function", CALLED_BY_THE_MACHINE)
def test_functions_called_by_a_state_machine_do_not_depend_on_it(
    translated: Translated, function: str
) -> None:
    machines = {"RunStateMachine", "ResumeStateMachine"}
    assert machines <= translated.dependencies("ApiFunction")
    assert not machines & translated.dependencies(function)
    assert not [action for action in translated.actions(function) if action.startswith("states:")]


def test_functions_called_by_a_state_machine_start_executions_by_a_separate_policy(
    translated: Translated,
) -> None:
    """The role itself cannot name a state machine that depends on it."""
    may = {}
    for policy in translated.of_type("AWS::IAM::Policy").values():
        [role], [statement] = policy["Roles"], policy["PolicyDocument"]["Statement"]
        assert statement["Resource"] == {"Ref": "ResumeStateMachine"}
        may[role["Ref"]] = statement["Action"]
    assert may == {
        "RunStepFunctionRole": "states:StartExecution",
        "RequestInputFunctionRole": "states:SendTaskSuccess",
    }


def test_only_run_step_may_read_the_keys_of_model_providers(translated: Translated) -> None:
    readers = {
        function
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if "secretsmanager:GetSecretValue" in statement["Action"]
        and statement["Resource"] != {"Ref": "TicketSecret"}
    }
    assert readers == {"RunStepFunction"}


def test_functions_of_users_are_invoked_only_with_their_prefixes(
    translated: Translated,
) -> None:
    invoked = {
        (function, action, statement["Resource"]["Fn::Sub"].rpartition(":")[2])
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
        if action.startswith("lambda:")
    }
    assert invoked == {
        ("RunStepFunction", "lambda:InvokeFunction", "${ToolFunctionPrefix}*"),
        ("RunStepFunction", "lambda:InvokeFunction", "${AgentFunctionPrefix}*"),
        ("RunStepFunction", "lambda:GetFunctionConfiguration", "${AgentFunctionPrefix}*"),
        # A migration replays the log against another version.
        ("ApiFunction", "lambda:InvokeFunction", "${AgentFunctionPrefix}*"),
        ("ApiFunction", "lambda:GetFunctionConfiguration", "${AgentFunctionPrefix}*"),
    }


def test_only_the_endpoints_may_read_the_ticket_secret_and_no_function_may_change_it(
    translated: Translated,
) -> None:
    allowed = {
        (function, action)
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if statement["Resource"] == {"Ref": "TicketSecret"}
        for action in statement["Action"]
    }
    # Without a condition on the stage: the current version, and the previous one after a rotation.
    assert allowed == {(endpoint, "secretsmanager:GetSecretValue") for endpoint in ENDPOINTS}
    rotators = {
        action
        for function in FUNCTIONS
        for action in translated.actions(function)
        if action.startswith("secretsmanager:") and action != "secretsmanager:GetSecretValue"
    }
    assert rotators == set()


def test_the_publisher_of_agents_may_do_nothing_else(translated: Translated) -> None:
    statement, of_key = translated.statements("PublishAgentsFunctionRole")
    assert of_key["Action"] == ["kms:GenerateDataKey"]
    assert statement["Action"] == ["s3:PutObject"]
    assert statement["Resource"] == {"Fn::Sub": "${Bucket.Arn}/agents/*"}


def test_only_the_publisher_may_write_agents(translated: Translated) -> None:
    """A run may use every tool of its agent, so functions that execute runs must not add tools."""
    writers = {
        function
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if "s3:PutObject" in statement["Action"]
        for resource in _as_list(statement["Resource"])
        if not re.match(
            r"\$\{Bucket.Arn\}/(runs|threads|files|uploads|checkpoints)/", resource["Fn::Sub"]
        )
    }
    assert writers == {"PublishAgentsFunction"}


def _as_list(resource: Any) -> list[dict[str, str]]:
    return resource if isinstance(resource, list) else [resource]


def test_agents_are_published_when_they_change_and_before_the_endpoints_change(
    translated: Translated,
) -> None:
    published = translated.properties("PublishedAgents")
    assert published["ServiceToken"] == {"Fn::GetAtt": ["PublishAgentsFunction", "Arn"]}
    # The layer's logical id contains the hash of its content, so a changed file changes a property.
    layers = translated.properties("PublishAgentsFunction")["Layers"]
    assert published["Agents"] in layers
    assert published["Agents"]["Ref"].startswith("AgentsLayer")
    assert {"DefaultAgent", "DefaultPersona"} < set(published)
    for endpoint in ENDPOINTS:
        assert "PublishedAgents" in translated.dependencies(endpoint)
        assert endpoint not in translated.dependencies("PublishedAgents")
    key = translated.variables("PublishAgentsFunction")["AGENTS_OBJECT_KEY"]
    assert (
        {translated.variables(endpoint)["AGENTS_OBJECT_KEY"] for endpoint in ENDPOINTS}
        == {key}
        == {BUNDLE_KEY}
    )


def test_a_deployment_waits_for_the_publisher_as_long_as_it_may_run(
    translated: Translated,
) -> None:
    # Twice, because Lambda retries once if the function sends no response.
    timeout = translated.properties("PublishAgentsFunction")["Timeout"]
    assert int(translated.properties("PublishedAgents")["ServiceTimeout"]) >= 2 * timeout
