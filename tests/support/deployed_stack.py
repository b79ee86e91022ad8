"""A deployed stack: its outputs and parameters in CloudFormation, and its stores."""

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
    """A stack by name, with its outputs and parameters; boto3 finds region and credentials."""

    name: str
    outputs: dict[str, str]
    parameters: dict[str, str]

    @classmethod
    def read(cls, name: str) -> "DeployedStack":
        """Read the stack from CloudFormation. Raise ClientError if it does not exist."""
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        outputs, parameters = found.get("Outputs", []), found.get("Parameters", [])
        return cls(
            name,
            {str(one.get("OutputKey")): str(one.get("OutputValue")) for one in outputs},
            {str(one.get("ParameterKey")): str(one.get("ParameterValue")) for one in parameters},
        )

    @property
    def api_url(self) -> str:
        """Return the URL of API Gateway, which redirects streams to the streaming endpoint."""
        return self.outputs["ApiUrl"].rstrip("/")

    @property
    def agent_variables(self) -> dict[str, str]:
        """Return the variables that agents' tools can use."""
        found: dict[str, str] = json.loads(self.parameters["AgentVariables"])
        return found

    @cached_property
    def stores(self) -> Stores:
        """Return the stack's stores."""
        return Stores.create(
            boto3.client("dynamodb"),
            Bucket(self.outputs["BucketName"], lambda: boto3.client("s3")),
            events_table=self.outputs["EventsTableName"],
            records_table=self.outputs["RecordsTableName"],
        )

    @contextmanager
    def access_key(self, given: str | None) -> Iterator[str]:
        """Yield `given`, or a new key that is revoked after the block."""
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
