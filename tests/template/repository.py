"""Where the repository lies, and the questions that the tests ask of the translated template."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# The definitions of the state machines.
MACHINES = ("run", "resume")
# The functions that the machines call; these refer to them, so they may not refer to a machine.
CALLED_BY_THE_MACHINE = ("RunStepFunction", "RequestInputFunction", "CloseRunFunction")
DOORS = ("ApiFunction", "StreamFunction")
WITH_RUNS = (*DOORS, "SweepFunction", *CALLED_BY_THE_MACHINE)
TELLING = ("PublishEventsFunction", "DeliverWebhookFunction")
FUNCTIONS = (*WITH_RUNS, *TELLING, "PublishAgentsFunction")


def definition(machine: str) -> dict[str, Any]:
    """The state machine of this name, as its file has it."""
    text = (ROOT / "statemachines" / f"{machine}.asl.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@dataclass(frozen=True)
class Translated:
    """A CloudFormation template."""

    document: dict[str, Any]

    def properties(self, name: str) -> dict[str, Any]:
        """What the resource of this logical id is."""
        found: dict[str, Any] = self.document["Resources"][name]["Properties"]
        return found

    def of_type(self, wanted: str) -> dict[str, dict[str, Any]]:
        """The properties of every resource of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.document["Resources"].items()
            if resource["Type"] == wanted
        }

    def variables(self, function: str) -> dict[str, Any]:
        """The function's environment."""
        found: dict[str, Any] = self.properties(function)["Environment"]["Variables"]
        return found

    def statements(self, role: str) -> Iterator[dict[str, Any]]:
        """The role's own statements, each with its actions as a list; also those on a condition."""
        for policy in self.properties(role).get("Policies", []):
            for each in policy["PolicyDocument"]["Statement"]:
                statement = each["Fn::If"][1] if "Fn::If" in each else each
                actions = statement["Action"]
                yield {**statement, "Action": [actions] if isinstance(actions, str) else actions}

    def actions(self, function: str) -> set[str]:
        """What the function may do, by its own statements."""
        statements = self.statements(f"{function}Role")
        return {action for statement in statements for action in statement["Action"]}

    def needs(self, name: str) -> set[str]:
        """The logical ids that a resource depends on, at any distance."""
        found: set[str] = set()
        open_names = [name]
        while open_names:
            resource = self.document["Resources"][open_names.pop()]
            for other in _references(resource):
                if other in self.document["Resources"] and other not in found:
                    found.add(other)
                    open_names.append(other)
        return found


def told_by_a_new_process(
    code: str, function: str, variables: Mapping[str, str] | None = None
) -> Any:
    """What the code prints, as JSON, in a process that starts as Lambda starts this function's.

    The function's folder (or another, by its path) and the layer are on the path, and no more.
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "functions" / function,
        env={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _references(node: Any) -> Iterator[str]:
    """The logical ids that Ref, GetAtt, Sub and DependsOn name."""
    if isinstance(node, list):
        for each in node:
            yield from _references(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("Ref", "DependsOn"):
                yield from [value] if isinstance(value, str) else value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.split(".")[0]
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from (part.split("}")[0].split(".")[0] for part in text.split("${")[1:])
            yield from _references(value)
