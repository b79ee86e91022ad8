"""A deployed stack: what CloudFormation tells of it, and its stores."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import boto3

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.stores import Stores


@dataclass(frozen=True)
class DeployedStack:
    """A stack by name, with its outputs and parameters. AWS is reached as boto3 finds it."""

    name: str
    outputs: dict[str, str]
    parameters: dict[str, str]

    @classmethod
    def read(cls, name: str) -> "DeployedStack":
        """Ask CloudFormation. Raises ClientError where there is no such stack."""
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        outputs, parameters = found.get("Outputs", []), found.get("Parameters", [])
        return cls(
            name,
            {str(one.get("OutputKey")): str(one.get("OutputValue")) for one in outputs},
            {str(one.get("ParameterKey")): str(one.get("ParameterValue")) for one in parameters},
        )

    @property
    def api_url(self) -> str:
        """The door behind API Gateway, which sends streams to the other one."""
        return self.outputs["ApiUrl"].rstrip("/")

    @property
    def agent_variables(self) -> dict[str, str]:
        """What the agents' tools may name."""
        found: dict[str, str] = json.loads(self.parameters["AgentVariables"])
        return found

    @cached_property
    def stores(self) -> Stores:
        """The stack's stores."""
        return Stores.create(
            boto3.client("dynamodb"),
            Bucket(self.outputs["BucketName"], lambda: boto3.client("s3")),
            events_table=self.outputs["EventsTableName"],
            records_table=self.outputs["RecordsTableName"],
        )

    @contextmanager
    def access_key(self, given: str | None) -> Iterator[str]:
        """The key to use: the one that was given, or a new one, revoked in the end."""
        if given:
            yield given
            return
        keys = self.stores.access_keys
        secret = f"ry_{secrets.token_urlsafe(32)}"
        keys.save(secret, project_id=PROJECT_ID, org_id=ORG_ID)
        try:
            yield secret
        finally:
            if made := keys.find(secret):
                keys.revoke(made.id)
