"""A rehearsal of first deployments that fail, at each resource in turn, and of the next one."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.template.failed_create import NAMES, name_conflicts, roll_back
from tests.template.repository import ROOT, Translated

PAGE = (ROOT / "docs" / "how-to" / "operations.md").read_text(encoding="utf-8")


def runbook() -> str:
    """Return the section about a first deploy that failed."""
    [_, section] = PAGE.split("\n## A first deploy that failed\n")
    return section.partition("\n## ")[0]


def test_no_failure_leaves_the_stack_stuck_or_a_name_in_use(translated: Translated) -> None:
    resources = translated.document["Resources"]
    assert len(resources) > 80
    for failed in resources:
        rollback = roll_back(translated, failed)
        assert rollback.stuck == set(), failed
        assert name_conflicts(translated, rollback.left) == set(), failed


def test_the_commands_of_the_runbook_remove_exactly_what_is_left(translated: Translated) -> None:
    resources = translated.document["Resources"]
    left = {name for failed in resources for name in roll_back(translated, failed).left}
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", runbook(), re.DOTALL))
    named = set(re.findall(r"\b\w+\b", commands)) & set(resources)
    assert named == left == {"EventsTable", "RecordsTable", "Bucket"}


def test_the_rehearsal_knows_the_name_of_every_named_resource(translated: Translated) -> None:
    """Names of policies, alarms, layers and stages belong to another resource or are generated."""
    inside_another = {"PolicyName", "LayerName", "StageName"}
    for name, resource in translated.document["Resources"].items():
        kind = str(resource["Type"]).rsplit("::", 1)[-1]
        naming = {key for key in resource.get("Properties", {}) if key in ("Name", f"{kind}Name")}
        unknown = naming - inside_another - {NAMES.get(resource["Type"])}
        # A function's name in a permission or a mapping refers to a resource of the stack.
        assert not unknown or resource["Type"] == "AWS::ApiGatewayV2::Api", (name, unknown)


def _delete_after_a_failed_create(resources: dict[str, Any]) -> None:
    resources["RecordsTable"]["DeletionPolicy"] = "RetainExceptOnCreate"


def _delete_the_bucket_with_its_objects(resources: dict[str, Any]) -> None:
    resources["Bucket"]["DeletionPolicy"] = "RetainExceptOnCreate"


def _name_a_table(resources: dict[str, Any]) -> None:
    resources["EventsTable"]["Properties"]["TableName"] = {"Fn::Sub": "${AWS::StackName}-events"}


def _let_a_function_create_log_groups(resources: dict[str, Any]) -> None:
    for policy in resources["SweepFunctionRole"]["Properties"]["Policies"]:
        policy["PolicyDocument"]["Statement"] = [
            statement
            for statement in policy["PolicyDocument"]["Statement"]
            if statement.get("Sid") != "DenyLogGroups"
        ]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (_delete_after_a_failed_create, "RecordsTable"),
        (_delete_the_bucket_with_its_objects, "Bucket"),
        (_name_a_table, "EventsTable"),
        (_let_a_function_create_log_groups, "SweepFunctionLogs"),
    ],
)
def test_the_rehearsal_finds_what_would_block_the_next_deployment(
    translated: Translated, change: Callable[[dict[str, Any]], None], left: str
) -> None:
    faulty = Translated(copy.deepcopy(translated.document))
    change(faulty.document["Resources"])
    rollback = roll_back(faulty, "Dashboard")
    assert rollback.stuck | name_conflicts(faulty, rollback.left) == {left}
