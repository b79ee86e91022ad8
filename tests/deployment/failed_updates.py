"""Updates of the deployed stack that fail at each resource that they touch, and the way out."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.deployment.documented_commands import OPERATIONS, Shell, code_blocks
from tests.deployment.failing_resources import write_failures
from tests.support.deployed_stack import DeployedStack

_CHANGE_SET = "failed-updates"
_POLL_SECONDS = 0.2
_UPDATE_SECONDS = 300
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
# No resource needs these, and all resources of the type change in the same way: the first and the
# last of them are enough.
_ALIKE = {"AWS::CloudWatch::Alarm", "AWS::Logs::LogGroup"}
# The emulator lists it although its condition is false, and cannot create it.
_NOT_EMULATED = {"AWS::Budgets::Budget"}
# It changes nearly every function, log group and alarm; the tables get their protection.
PARAMETERS = {"LogLevel": "WARNING", "LogRetentionDays": "14", "Stage": "prod"}
PARAMETERS |= {"AlarmEmail": "ops@example.com"}


@dataclass(frozen=True)
class Release:
    """A template in a bucket, and the values of its parameters."""

    template_url: str
    parameters: dict[str, str]

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of an update or a change set."""
        pairs = [{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()]
        return {
            "TemplateURL": self.template_url,
            "Parameters": pairs,
            "Capabilities": _CAPABILITIES,
        }


class StackUpdates:
    """Updates of a stack, by CloudFormation's own API."""

    def __init__(self, stack: str, failures: Path) -> None:
        self._stack, self._failures = stack, failures
        self._shell = Shell(stack)
        self._cloudformation: Any = boto3.client("cloudformation")

    def release(self, name: str, **parameters: str) -> Release:
        """Return a release with other files: all layers and functions, but not the agents."""
        s3: Any = boto3.client("s3")
        text = self._cloudformation.get_template(StackName=self._stack, TemplateStage="Original")
        template = str(text["TemplateBody"])
        agents = re.search(r"\n  AgentsLayer:\n(?:    .*\n)*?\s+ContentUri: (\S+)\n", template)
        assert agents, "the packaged template has the agents as a layer"
        bucket = ""
        for uri in set(re.findall(r"s3://[^\s'\"]+", template)) - {agents[1]}:
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            s3.copy_object(Bucket=bucket, Key=f"{key}-{name}", CopySource=f"{bucket}/{key}")
            template = template.replace(uri, f"{uri}-{name}")
        s3.put_object(Bucket=bucket, Key=name, Body=template.encode())
        url = f"https://s3.{self._cloudformation.meta.region_name}.amazonaws.com/{bucket}/{name}"
        return Release(url, DeployedStack.read(self._stack).parameters | parameters)

    def touched(self, release: Release) -> list[str]:
        """Return the resources that the update creates or changes, of some types only two."""
        names = {"StackName": self._stack, "ChangeSetName": _CHANGE_SET}
        self._cloudformation.create_change_set(**names, **release.arguments)
        waiter = self._cloudformation.get_waiter("change_set_create_complete")
        waiter.wait(**names, WaiterConfig={"Delay": 1})
        pages = self._cloudformation.get_paginator("describe_change_set").paginate(**names)
        changes = [change["ResourceChange"] for page in pages for change in page["Changes"]]
        self._cloudformation.delete_change_set(**names)
        kinds: dict[str, list[str]] = {}
        for change in changes:
            if change["Action"] != "Remove" and change["ResourceType"] not in _NOT_EMULATED:
                of_kind = kinds.setdefault(change["ResourceType"], [])
                of_kind.append(change["LogicalResourceId"])
        return [
            name
            for kind, names_of_kind in kinds.items()
            for name in ({names_of_kind[0], names_of_kind[-1]} if kind in _ALIKE else names_of_kind)
        ]

    def update(self, release: Release, *, fails: str = "", rollback_fails: str = "") -> str:
        """Update the stack; return its status at the end."""
        write_failures(self._failures, update=[fails], rollback=[rollback_fails])
        try:
            self._cloudformation.update_stack(StackName=self._stack, **release.arguments)
            return self.final_status()
        finally:
            write_failures(self._failures)

    def final_status(self) -> str:
        """Wait until no operation is in progress; return the status."""
        until = time.monotonic() + _UPDATE_SECONDS
        while (status := self._status()).endswith("_IN_PROGRESS"):
            assert time.monotonic() < until, status
            time.sleep(_POLL_SECONDS)
        return status

    def follow_runbook(self, skipped: str = "") -> None:
        """Continue a failed rollback by the commands of the runbook; skip a resource if named."""
        read, why, continued, skip, check = self._blocks()
        assert "UPDATE_ROLLBACK_FAILED" in self._shell.run(read)
        assert self._shell.run(why).count("_FAILED") >= 2, "the update, and its rollback"
        self._shell.run(skip.replace("LOGICAL_ID", skipped) if skipped else continued)
        assert '"status":"ok"' in self._shell.run(check).replace(" ", "")

    def set_parameter(self, name: str, value: str) -> None:
        """Change a parameter by the command of the operations page."""
        self._shell.run(f"set_parameter {name} {value}")

    def _status(self) -> str:
        (found,) = self._cloudformation.describe_stacks(StackName=self._stack)["Stacks"]
        return str(found["StackStatus"])

    @staticmethod
    def _blocks() -> list[str]:
        blocks = code_blocks(OPERATIONS, "An update that failed")
        assert len(blocks) == 5, "status, reason, continue, skip, check"
        return blocks


def keys_of_data(stack: DeployedStack) -> set[tuple[str, ...]]:
    """Return the keys of all items of the tables and of all objects of the bucket."""
    return {*_items(stack, "EventsTableName"), *_items(stack, "RecordsTableName"), *_objects(stack)}


def _items(stack: DeployedStack, output: str) -> Iterator[tuple[str, ...]]:
    dynamodb: Any = boto3.client("dynamodb")
    table = stack.outputs[output]
    schema = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield (table, *(str(item[part["AttributeName"]]) for part in schema))


def _objects(stack: DeployedStack) -> Iterator[tuple[str, ...]]:
    s3: Any = boto3.client("s3")
    bucket = stack.outputs["BucketName"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            yield (bucket, found["Key"])


def rehearse_failed_updates(name: str, failures: Path) -> str:
    """Fail an update at each resource, then its rollback; at last let it succeed."""
    updates, stack = StackUpdates(name, failures), DeployedStack.read(name)
    data = keys_of_data(stack)

    def check(status: str, expected: str = "UPDATE_ROLLBACK_COMPLETE") -> None:
        assert status == expected, (status, expected)
        assert DeployedStack.read(name) == stack, "the rollback restores parameters and outputs"
        assert data <= keys_of_data(stack), "an update lost data"

    release = updates.release("a-release", **PARAMETERS)
    touched = updates.touched(release)
    for resource in touched:
        check(updates.update(release, fails=resource))
    # A change of the default agent publishes the agents, by a function of the stack.
    agents = updates.release("agents", DefaultAgent="support_triage@1")
    for resource in ("PublishedAgents", "ApiFunction"):
        check(updates.update(agents, fails=resource))
    for update, stuck, skipped in (
        (release, "RunStepFunction", ""),
        (release, "RecordsTable", ""),
        (release, "SweepFunction", "SweepFunction"),
        (agents, "PublishedAgents", ""),
    ):
        last = "ApiFunction" if update is agents else "WebhooksDelayed"
        status = updates.update(update, fails=last, rollback_fails=stuck)
        check(status, "UPDATE_ROLLBACK_FAILED")
        updates.follow_runbook(skipped)
        check(updates.final_status())
    assert updates.update(release) == "UPDATE_COMPLETE"
    updates.set_parameter("LogLevel", "ERROR")
    expected = release.parameters | {"LogLevel": "ERROR"}
    assert DeployedStack.read(name).parameters == expected
    assert data <= keys_of_data(stack), "an update lost data"
    return (
        f"an update that fails at each of {len(touched)} resources rolls back without loss; "
        "the runbook continues a rollback that fails; the next update succeeds; a parameter "
        "changes by the command of the operations page"
    )
