"""Create in the emulators what the template declares; existing resources stay unchanged."""

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runyard_dev.clients import client
from runyard_dev.errors import InvocationFailedError, TableChangedError
from runyard_dev.secret_values import value_of
from runyard_dev.template.template import LocalTemplate, StateMachine, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def create_tables(template: LocalTemplate, environment: Mapping[str, str]) -> None:
    """Create the tables that are missing, with their expiry attribute."""
    dynamodb: DynamoDBClient = client("dynamodb", environment)
    pages = dynamodb.get_paginator("list_tables").paginate()
    existing = {name for page in pages for name in page["TableNames"]}
    for table in template.tables:
        if table.name in existing:
            _check(dynamodb, table)
            continue
        dynamodb.create_table(**table.arguments)
        dynamodb.get_waiter("table_exists").wait(
            TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 10}
        )
        if table.ttl_attribute:
            dynamodb.update_time_to_live(
                TableName=table.name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
            )


def create_buckets(template: LocalTemplate, environment: Mapping[str, str]) -> None:
    """Create the buckets that are missing."""
    s3: S3Client = client("s3", environment)
    existing = {bucket.get("Name") for bucket in s3.list_buckets()["Buckets"]}
    for name in template.buckets:
        if name not in existing:
            s3.create_bucket(Bucket=name)


def create_secrets(template: LocalTemplate, environment: Mapping[str, str], folder: Path) -> None:
    """Create the secrets that are missing; generated values are saved in `folder`."""
    secretsmanager: SecretsManagerClient = client("secretsmanager", environment)
    for secret in template.secrets:
        try:
            secretsmanager.create_secret(Name=secret.name, SecretString=value_of(secret, folder))
        except secretsmanager.exceptions.ResourceExistsException:
            continue


def create_queues(template: LocalTemplate, environment: Mapping[str, str]) -> None:
    """Create the queues that are missing."""
    sqs: SQSClient = client("sqs", environment)
    # Create the dead-letter queues before the queues that name them.
    for queue in sorted(template.queues, key=lambda queue: "RedrivePolicy" in queue.attributes):
        attributes: Any = queue.attributes
        sqs.create_queue(QueueName=queue.name, Attributes=attributes)


def create_buses(template: LocalTemplate, environment: Mapping[str, str]) -> None:
    """Create the event buses that are missing."""
    events: EventBridgeClient = client("events", environment)
    for name in template.buses:
        try:
            events.create_event_bus(Name=name)
        except events.exceptions.ResourceAlreadyExistsException:
            continue


def create_state_machines(template: LocalTemplate, environment: Mapping[str, str]) -> None:
    """Create the state machines, or update them to the definition in the file."""
    states: SFNClient = client("stepfunctions", environment)
    existing = {
        machine["stateMachineArn"] for machine in states.list_state_machines()["stateMachines"]
    }
    for machine in template.state_machines:
        _create_state_machine(states, machine, machine.arn in existing)


def invoke(environment: Mapping[str, str], function: str, payload: Mapping[str, Any]) -> Any:
    """Invoke a function through the Lambda endpoint and return its result."""
    endpoint = environment["AWS_ENDPOINT_URL_LAMBDA"]
    request = urllib.request.Request(
        f"{endpoint}/2015-03-31/functions/{function}/invocations",
        data=json.dumps(payload).encode(),
        headers={"Content-Type": "application/json"},
    )
    with _opener.open(request, timeout=300) as answer:
        result = json.loads(answer.read())
        if answer.headers.get("X-Amz-Function-Error"):
            raise InvocationFailedError(f"{result.get('errorType')}: {result.get('errorMessage')}")
    return result


def _check(dynamodb: "DynamoDBClient", table: Table) -> None:
    found = dynamodb.describe_table(TableName=table.name)["Table"]
    indexes = {index.get("IndexName") for index in found.get("GlobalSecondaryIndexes", [])}
    declared = {index["IndexName"] for index in table.arguments.get("GlobalSecondaryIndexes", [])}
    if found["KeySchema"] != table.arguments["KeySchema"] or not declared <= indexes:
        raise TableChangedError(
            f"table {table.name} was made from an older template.yaml: take another DATA_DIR, or"
            " remove this one"
        )
    if (stream := table.arguments.get("StreamSpecification")) and "LatestStreamArn" not in found:
        dynamodb.update_table(TableName=table.name, StreamSpecification=stream)


def _create_state_machine(states: "SFNClient", machine: StateMachine, exists: bool) -> None:
    if exists:
        states.update_state_machine(
            stateMachineArn=machine.arn, definition=machine.definition, roleArn=machine.role_arn
        )
        return
    states.create_state_machine(
        name=machine.name,
        definition=machine.definition,
        roleArn=machine.role_arn,
        type="EXPRESS" if machine.type == "EXPRESS" else "STANDARD",
    )
