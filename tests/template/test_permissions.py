"""Each role may do what its function does, and nothing else."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from runyard_service.adapters.s3.agent_bundle import BUNDLE_KEY
from tests.template.repository import CALLED_BY_THE_MACHINE, DOORS, FUNCTIONS, WITH_RUNS, Translated

# The only actions here that AWS defines without a resource.
WITHOUT_RESOURCE = "logs:"
# Who deletes: the one when it is asked, the other for those who asked too early, and for retention.
DELETERS = ("ApiFunction", "SweepFunction")
# What those write who carry runs, and who ask for them.
WRITTEN_FOR_RUNS = "(runs|threads|files|uploads|checkpoints)"


def test_no_role_may_do_anything_by_wildcard(translated: Translated) -> None:
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
def test_the_log_is_append_only_but_for_those_who_delete_runs(
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
def test_nobody_scans(translated: Translated, function: str) -> None:
    assert [action for action in translated.actions(function) if "Scan" in action] == []


def test_only_one_door_and_the_sweep_delete_runs_and_what_is_a_runs(
    translated: Translated,
) -> None:
    rights = {
        function: {
            (action, bound)
            for statement in translated.statements(f"{function}Role")
            for action in statement["Action"]
            if "Delete" in action or "BatchWrite" in action
            if not action.startswith("sqs:")  # A message that is done with.
            for bound in _bounds(statement)
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


def test_who_deletes_may_list_payloads_and_nothing_else(translated: Translated) -> None:
    listing = {
        function: statement["Condition"]
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if "s3:ListBucket" in statement["Action"]
    }
    assert listing == {name: {"StringLike": {"s3:prefix": "runs/*"}} for name in DELETERS}


def test_only_the_api_and_the_sweep_give_answers_to_a_machine(translated: Translated) -> None:
    givers = {
        function
        for function in FUNCTIONS
        if any(action.startswith("states:SendTask") for action in translated.actions(function))
    }
    assert givers == {"ApiFunction", "SweepFunction"}


def _bounds(statement: Mapping[str, Any]) -> list[str]:
    """The parts of a table or a bucket that a statement is about."""
    if "Condition" in statement:
        keys: list[str] = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        return keys
    return [
        str(resource["Fn::Sub"] if "Fn::Sub" in resource else resource["Fn::GetAtt"][0])
        for resource in _listed(statement["Resource"])
    ]


@pytest.mark.parametrize("function", CALLED_BY_THE_MACHINE)
def test_what_the_machine_calls_does_not_need_the_machine(
    translated: Translated, function: str
) -> None:
    machines = {"RunStateMachine", "ResumeStateMachine"}
    assert machines <= translated.needs("ApiFunction")
    assert not machines & translated.needs(function)
    assert not [action for action in translated.actions(function) if action.startswith("states:")]


def test_what_a_machine_calls_may_go_on_by_a_policy_beside_its_role(
    translated: Translated,
) -> None:
    """The role itself cannot name a machine that needs it."""
    may = {}
    for policy in translated.of_type("AWS::IAM::Policy").values():
        [role], [statement] = policy["Roles"], policy["PolicyDocument"]["Statement"]
        assert statement["Resource"] == {"Ref": "ResumeStateMachine"}
        may[role["Ref"]] = statement["Action"]
    assert may == {
        "RunStepFunctionRole": "states:StartExecution",
        "RequestInputFunctionRole": "states:SendTaskSuccess",
    }


def test_only_run_step_reads_the_keys_of_model_providers(translated: Translated) -> None:
    readers = {
        function
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if "secretsmanager:GetSecretValue" in statement["Action"]
        and statement["Resource"] != {"Ref": "TicketSecret"}
    }
    assert readers == {"RunStepFunction"}


def test_only_the_doors_read_the_secret_of_tickets_and_no_function_changes_it(
    translated: Translated,
) -> None:
    allowed = {
        (function, action)
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if statement["Resource"] == {"Ref": "TicketSecret"}
        for action in statement["Action"]
    }
    # Of any stage of it: that of the present, and that of the one before a rotation.
    assert allowed == {(door, "secretsmanager:GetSecretValue") for door in DOORS}
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


def test_only_the_publisher_writes_agents(translated: Translated) -> None:
    """An agent's tools are what its runs may do: whoever runs them must not be able to add any."""
    writers = {
        function
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if "s3:PutObject" in statement["Action"]
        for resource in _listed(statement["Resource"])
        if not re.match(
            r"\$\{Bucket.Arn\}/(runs|threads|files|uploads|checkpoints)/", resource["Fn::Sub"]
        )
    }
    assert writers == {"PublishAgentsFunction"}


def _listed(resource: Any) -> list[dict[str, str]]:
    return resource if isinstance(resource, list) else [resource]


def test_agents_are_published_when_they_change_and_before_the_doors_do(
    translated: Translated,
) -> None:
    published = translated.properties("PublishedAgents")
    assert published["ServiceToken"] == {"Fn::GetAtt": ["PublishAgentsFunction", "Arn"]}
    # The layer's logical id holds the hash of its content, so a changed file is a changed property.
    layers = translated.properties("PublishAgentsFunction")["Layers"]
    assert published["Agents"] in layers
    assert published["Agents"]["Ref"].startswith("AgentsLayer")
    assert {"DefaultAgent", "DefaultPersona"} < set(published)
    for door in DOORS:
        assert "PublishedAgents" in translated.needs(door)
        assert door not in translated.needs("PublishedAgents")
    key = translated.variables("PublishAgentsFunction")["AGENTS_OBJECT_KEY"]
    assert (
        {translated.variables(door)["AGENTS_OBJECT_KEY"] for door in DOORS} == {key} == {BUNDLE_KEY}
    )


def test_a_deployment_waits_for_the_publisher_as_long_as_it_may_run(
    translated: Translated,
) -> None:
    # Twice, because Lambda does it once more where the answer could not be given.
    timeout = translated.properties("PublishAgentsFunction")["Timeout"]
    assert int(translated.properties("PublishedAgents")["ServiceTimeout"]) >= 2 * timeout
