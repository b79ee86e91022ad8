"""Each role may do what its function does, and nothing else."""

import pytest

from tests.template.repository import CALLED_BY_THE_MACHINE, FUNCTIONS, Translated

# The only actions here that AWS defines without a resource.
WITHOUT_RESOURCE = "logs:"


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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_log_is_append_only(translated: Translated, function: str) -> None:
    events = {
        action
        for statement in translated.statements(f"{function}Role")
        if statement["Resource"] == {"Fn::GetAtt": ["EventsTable", "Arn"]}
        for action in statement["Action"]
    }
    assert events == {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_deletes_or_scans(translated: Translated, function: str) -> None:
    actions = translated.actions(function)
    assert [action for action in actions if "Delete" in action or "Scan" in action] == []


@pytest.mark.parametrize("function", CALLED_BY_THE_MACHINE)
def test_what_the_machine_calls_does_not_need_the_machine(
    translated: Translated, function: str
) -> None:
    assert "RunMachine" in translated.needs("ApiFunction")
    assert "RunMachine" not in translated.needs(function)
    assert not [action for action in translated.actions(function) if action.startswith("states:")]


def test_only_run_step_reads_the_keys_of_model_providers(translated: Translated) -> None:
    readers = {
        function
        for function in FUNCTIONS
        for statement in translated.statements(f"{function}Role")
        if "secretsmanager:GetSecretValue" in statement["Action"]
        and statement["Resource"] != {"Ref": "TicketSecret"}
    }
    assert readers == {"RunStepFunction"}
