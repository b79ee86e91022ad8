"""The repository's root, and queries of the translated template."""

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
# Functions that the state machines call. State machines refer to them, so they cannot refer back.
CALLED_BY_THE_MACHINE = ("RunStepFunction", "RequestInputFunction", "CloseRunFunction")
ENDPOINTS = ("ApiFunction", "StreamFunction")
WITH_RUNS = (*ENDPOINTS, "SweepFunction", *CALLED_BY_THE_MACHINE)
PUBLISHING = ("PublishEventsFunction", "DeliverWebhookFunction")
FUNCTIONS = (*WITH_RUNS, *PUBLISHING, "PublishAgentsFunction")


def definition(machine: str) -> dict[str, Any]:
    """Return the state machine of this name as in its file."""
    text = (ROOT / "statemachines" / f"{machine}.asl.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def with_own_data(node: Any) -> Any:
    """Return the node as if the stack creates its tables and its bucket: the default.

    `!If [CreatesBucket, …]` becomes its first value, and a join of the bucket's ARN with `runs/*`
    becomes `!Sub ${Bucket.Arn}/runs/*`.
    """
    if isinstance(node, list):
        return [with_own_data(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "Fn::If" in node and str(node["Fn::If"][0]).startswith("Creates"):
        return with_own_data(node["Fn::If"][1])
    node = {key: with_own_data(value) for key, value in node.items()}
    match node:
        case {"Fn::Join": [separator, [{"Fn::GetAtt": [name, "Arn"]}, end]]}:
            return {"Fn::Sub": f"${{{name}.Arn}}{separator}{end}"}
    return node


@dataclass(frozen=True)
class Translated:
    """A translated CloudFormation template."""

    document: dict[str, Any]

    def properties(self, name: str) -> dict[str, Any]:
        """Return the properties of the resource with this logical id."""
        found: dict[str, Any] = self.document["Resources"][name]["Properties"]
        return found

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Return the properties of every resource of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.document["Resources"].items()
            if resource["Type"] == resource_type
        }

    def variables(self, function: str) -> dict[str, Any]:
        """Return the environment variables of the function."""
        found: dict[str, Any] = self.properties(function)["Environment"]["Variables"]
        return found

    def statements(self, role: str) -> Iterator[dict[str, Any]]:
        """Yield what the role allows, also by conditional statements, with actions as a list."""
        return self._statements(role, "Allow")

    def denials(self, role: str) -> Iterator[dict[str, Any]]:
        """Yield what the role denies, with actions as a list."""
        return self._statements(role, "Deny")

    def _statements(self, role: str, effect: str) -> Iterator[dict[str, Any]]:
        for policy in self.properties(role).get("Policies", []):
            for entry in policy["PolicyDocument"]["Statement"]:
                statement = entry["Fn::If"][1] if "Fn::If" in entry else entry
                actions = statement["Action"]
                if statement["Effect"] == effect:
                    yield {
                        **statement,
                        "Action": [actions] if isinstance(actions, str) else actions,
                    }

    def actions(self, function: str) -> set[str]:
        """Return the actions that the function's own statements allow."""
        statements = self.statements(f"{function}Role")
        return {action for statement in statements for action in statement["Action"]}

    def dependencies(self, name: str) -> set[str]:
        """Return the logical ids that a resource depends on, directly or indirectly."""
        found: set[str] = set()
        open_names = [name]
        while open_names:
            resource = self.document["Resources"][open_names.pop()]
            for other in references(resource):
                if other in self.document["Resources"] and other not in found:
                    found.add(other)
                    open_names.append(other)
        return found


def output_of_new_process(
    code: str, function: str, variables: Mapping[str, str] | None = None
) -> Any:
    """Run code in a process that starts as in Lambda; return its output, parsed as JSON.

    Only the folder of the function (a name, or a path) and the layer are on the import path.
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


def references(node: Any) -> Iterator[str]:
    """Yield the logical ids in Ref, GetAtt, Sub and DependsOn."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("Ref", "DependsOn"):
                yield from [value] if isinstance(value, str) else value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.split(".")[0]
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from (part.split("}")[0].split(".")[0] for part in text.split("${")[1:])
            yield from references(value)
