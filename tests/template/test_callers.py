"""Who may invoke a function: each caller has the permission that it needs, and no other."""

import copy
import re
from typing import Any

import pytest

from tests.template.repository import MACHINES, Translated, definition

_ROLES = {"run": "RunStateMachineRole", "resume": "ResumeStateMachineRole"}
# The policies and resources of these callers are in test_endpoints.py.
_ENDPOINT_CALLERS = {"apigateway.amazonaws.com", "*"}


def invoked_functions(machine: str) -> set[str]:
    """Return the functions that the definition of a state machine invokes."""
    names = re.findall(r"'FunctionName': '\$\{(\w+)Arn\}'", str(definition(machine)))
    assert names
    return set(names)


def allowed_functions(template: Translated, role: str) -> set[str]:
    """Return the functions that the role may invoke."""
    return {
        resource["Fn::GetAtt"][0]
        for statement in template.statements(role)
        if "lambda:InvokeFunction" in statement["Action"]
        for resource in statement["Resource"]
    }


def rule_permissions(template: Translated) -> dict[str, set[str]]:
    """Return the functions that each rule of EventBridge may invoke."""
    found: dict[str, set[str]] = {}
    for permission in template.of_type("AWS::Lambda::Permission").values():
        if permission["Principal"] == "events.amazonaws.com":
            rule = permission["SourceArn"]["Fn::GetAtt"][0]
            found.setdefault(rule, set()).add(permission["FunctionName"]["Ref"])
    return found


def rule_targets(template: Translated) -> dict[str, set[str]]:
    """Return the functions that each rule of EventBridge invokes."""
    return {
        name: {target["Arn"]["Fn::GetAtt"][0] for target in rule["Targets"]}
        for name, rule in template.of_type("AWS::Events::Rule").items()
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_a_state_machine_may_invoke_exactly_the_functions_of_its_definition(
    translated: Translated, machine: str
) -> None:
    assert allowed_functions(translated, _ROLES[machine]) == invoked_functions(machine)


def test_a_rule_may_invoke_exactly_its_targets(translated: Translated) -> None:
    assert len(rule_targets(translated)) == 2, "the sweep's schedule, and executions that ended"
    assert rule_permissions(translated) == rule_targets(translated)


def test_no_other_service_may_invoke_a_function(translated: Translated) -> None:
    principals = {
        permission["Principal"]
        for permission in translated.of_type("AWS::Lambda::Permission").values()
    }
    assert principals == _ENDPOINT_CALLERS | {"events.amazonaws.com"}


def test_a_missing_or_additional_permission_is_found(translated: Translated) -> None:
    faulty = Translated(copy.deepcopy(translated.document))
    resources: dict[str, Any] = faulty.document["Resources"]
    del resources["SweepFunctionEveryFiveMinutesPermission"]
    assert rule_targets(faulty).keys() - rule_permissions(faulty) == {
        "SweepFunctionEveryFiveMinutes"
    }
    [policy] = resources["RunStateMachineRole"]["Properties"]["Policies"]
    policy["PolicyDocument"]["Statement"][0]["Resource"].append(
        {"Fn::GetAtt": ["SweepFunction", "Arn"]}
    )
    assert allowed_functions(faulty, _ROLES["run"]) - invoked_functions("run") == {"SweepFunction"}
