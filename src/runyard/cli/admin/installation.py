"""Which installation a command works on: a deployed stack, a table, or the local stack."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runyard.cli.admin.parameters import at_most_one
from runyard.cli.extras import require_extra, service_errors

if TYPE_CHECKING:
    from runyard_service.adapters.dynamodb.access_keys import AccessKeys
    from runyard_service.adapters.dynamodb.projects import ProjectLimits, RetentionDays
    from runyard_service.adapters.dynamodb.run_index.code_versions import CodeVersions
    from runyard_service.adapters.s3.agent_bundle import AgentBundle
    from runyard_service.adapters.stores import Stores
    from runyard_service.agents.definitions.loader import AgentSet
    from runyard_service.agents.definitions.source import AgentDirectory
    from runyard_service.application.webhooks.publish_events import Publisher


@dataclass(frozen=True)
class AccountStores:
    """The stores of access keys and of project settings, and the versions of own code in use."""

    access_keys: "AccessKeys"
    project_limits: "ProjectLimits"
    retention_days: "RetentionDays"
    code_versions: "CodeVersions"


def installation_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--stack`, `--table` and `--local` to a command."""
    for option in (
        click.option("--local", is_flag=True, help="Use the local stack in DATA_DIR."),
        click.option("--table", metavar="NAME", help="Use this records table."),
        click.option("--stack", metavar="NAME", help="Use the deployed stack of this name."),
    ):
        function = option(function)
    return function


def stack_output(stack: str, name: str) -> str:
    """Return an output of a deployed stack."""
    import boto3

    (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {output.get("OutputKey"): output.get("OutputValue") for output in found["Outputs"]}
    return str(outputs[name])


def physical_id(stack: str, logical_id: str) -> str:
    """Return the physical id of a resource of a deployed stack."""
    import boto3

    answer = boto3.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=logical_id
    )
    return str(answer["StackResourceDetail"]["PhysicalResourceId"])


@contextmanager
def open_account_stores(
    *, stack: str | None, table: str | None, local: bool
) -> Iterator[AccountStores]:
    """Open the stores of access keys and project settings of the installation.

    The table is that of `--stack` or `--table`, or else of the variable `RECORDS_TABLE`. Without
    these, or with `local`, it is the local stack's in `DATA_DIR`, whether the stack runs or not.
    """
    at_most_one(stack=stack, table=table, local=local)
    require_extra("admin")
    with service_errors():
        if stack:
            table = stack_output(stack, "RecordsTableName")
        table = table or os.environ.get("RECORDS_TABLE")
        if table and not local:
            yield _account_stores(table)
            return
        with open_local_stores(must_exist=False) as stores:
            yield AccountStores(
                stores.access_keys,
                stores.project_limits,
                stores.retention_days,
                stores.code_versions,
            )


def _account_stores(table: str) -> AccountStores:
    import boto3

    from runyard_service.adapters.dynamodb.access_keys import AccessKeys
    from runyard_service.adapters.dynamodb.projects import ProjectLimits, RetentionDays
    from runyard_service.adapters.dynamodb.run_index.code_versions import CodeVersions
    from runyard_service.adapters.dynamodb.table import Table

    records = Table(boto3.client("dynamodb"), table)
    return AccountStores(
        AccessKeys(records), ProjectLimits(records), RetentionDays(records), CodeVersions(records)
    )


@contextmanager
def open_agents(stack: str | None, table: str | None) -> Iterator["AgentSet | None"]:
    """Read the agents of the installation.

    They are in the bucket of `--stack`. For a table they are in the bucket that the variable
    `BUCKET` names; without it, yield None. Those of the local stack are in the folder of its last
    start, or else in `AGENTS_DIR`.
    """
    at_most_one(stack=stack, table=table)
    require_extra("admin")
    with service_errors():
        from runyard_service.agents.definitions.loader import read_agents

        files = _agent_files(stack, table)
        yield read_agents(files.read()) if files else None


def _agent_files(stack: str | None, table: str | None) -> "AgentBundle | AgentDirectory | None":
    import boto3

    from runyard_service.adapters.s3.agent_bundle import AgentBundle
    from runyard_service.adapters.s3.bucket import Bucket
    from runyard_service.agents.definitions.source import AgentDirectory

    if stack or table or os.environ.get("RECORDS_TABLE"):
        bucket = physical_id(stack, "Bucket") if stack else os.environ.get("BUCKET")
        return AgentBundle(Bucket(bucket, lambda: boto3.client("s3"))) if bucket else None
    require_extra("dev")
    from runyard_dev.data_dir import chosen_data_dir, read_state

    folder = read_state(chosen_data_dir()).get("AGENTS_DIR") or os.environ.get("AGENTS_DIR")
    return AgentDirectory(Path(folder or "agents"))


@contextmanager
def open_stores(stack: str | None, *, local: bool = False) -> Iterator["Stores"]:
    """Open all stores of the installation.

    The installation is `--stack`, or else the one that the variables `EVENTS_TABLE`,
    `RECORDS_TABLE` and `BUCKET` name. Without these, or with `local`, it is the local stack in
    `DATA_DIR`.
    """
    at_most_one(stack=stack, local=local)
    require_extra("admin")
    with service_errors():
        if stack:
            os.environ |= {
                "EVENTS_TABLE": stack_output(stack, "EventsTableName"),
                "RECORDS_TABLE": stack_output(stack, "RecordsTableName"),
                "BUCKET": stack_output(stack, "BucketName"),
            }
        if os.environ.get("EVENTS_TABLE") and not local:
            from runyard_service.container import container

            yield container().stores
            return
        with open_local_stores(must_exist=True) as stores:
            yield stores


def open_publisher(stack: str | None) -> "Publisher":
    """Return the publisher of events, with the stores, the event bus and the webhook queues.

    They are those of `--stack`, or else those that environment variables name, as in the functions.
    """
    import boto3

    from runyard_service.adapters.eventbridge import EventBus
    from runyard_service.adapters.s3.bucket import Bucket
    from runyard_service.adapters.sqs import DeliveryQueue
    from runyard_service.adapters.stores import Stores
    from runyard_service.application.webhooks.publish_events import Publisher
    from runyard_service.settings import Settings

    settings = Settings.from_environment(_publisher_variables(stack) if stack else None)
    stores = Stores.create(
        boto3.client("dynamodb"),
        Bucket(settings.bucket, lambda: boto3.client("s3")),
        events_table=settings.events_table,
        records_table=settings.records_table,
    )
    queues = settings.webhook_queue_url, settings.webhook_dead_letter_queue_url
    return Publisher(
        stores,
        EventBus(boto3.client("events"), settings.event_bus),
        DeliveryQueue(boto3.client("sqs"), *queues),
    )


def _publisher_variables(stack: str) -> dict[str, str]:
    return {
        "EVENTS_TABLE": stack_output(stack, "EventsTableName"),
        "RECORDS_TABLE": stack_output(stack, "RecordsTableName"),
        "BUCKET": stack_output(stack, "BucketName"),
        "EVENT_BUS": stack_output(stack, "EventBusName"),
        "WEBHOOK_QUEUE_URL": physical_id(stack, "WebhookQueue"),
        "WEBHOOK_DEAD_LETTER_QUEUE_URL": physical_id(stack, "WebhookDeadLetterQueue"),
    }


@contextmanager
def open_local_stores(*, must_exist: bool) -> Iterator["Stores"]:
    """Open the stores of the local stack in `DATA_DIR`."""
    require_extra("dev")
    from runyard_dev.data_dir import chosen_data_dir
    from runyard_dev.open_store import open_store

    data_dir = chosen_data_dir()
    if must_exist and not (data_dir / "lock").exists():
        raise click.UsageError(f"{data_dir} contains no local stack; set DATA_DIR or use --stack")
    with open_store(data_dir) as stores:
        yield stores
