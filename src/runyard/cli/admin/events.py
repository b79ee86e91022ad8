"""`runyard events`: events that were not published to webhooks and the event bus."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from runyard.cli.admin.installation import open_publisher, physical_id
from runyard.cli.admin.parameters import exactly_one
from runyard.cli.admin.tables import print_columns
from runyard.cli.extras import require_extra, service_errors

if TYPE_CHECKING:
    from runyard_service.adapters.failed_batches import FailedBatch
    from runyard_service.adapters.sqs import DeadLetterQueue

COLUMNS = ("FIRST RECORD", "RECORDS", "WRITTEN AT", "REDRIVE BEFORE", "REASON")


@click.group()
def events() -> None:
    """Show and publish events again that were not published.

    Lambda retries a batch of the log's stream 100 times or for a day. Then it sends the position of
    the batch to a dead-letter queue. AWS credentials are those that boto3 finds.
    """


def _queue_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--queue-url",
            metavar="URL",
            help="Use this dead-letter queue, and the tables, the bucket, the event bus and the"
            " webhook queue that environment variables name, as in the functions.",
        ),
        click.option("--stack", metavar="NAME", help="Use the deployed stack of this name."),
    ):
        function = option(function)
    return function


@events.command("dead-letters")
@_queue_options
def dead_letters(*, stack: str | None, queue_url: str | None) -> None:
    """List the batches of the stream in the dead-letter queue.

    FIRST RECORD is the `stream_record` of the log line `publishing events failed`. The stream
    removes a record after 24 hours: then it cannot be published again.
    """
    queue = _open_queue(stack, queue_url)
    with service_errors():
        from runyard_service.application.webhooks.redrive_events import list_failed_batches

        print_columns([COLUMNS, *map(_row, list_failed_batches(queue))])


@events.command()
@click.option(
    "--delete-expired",
    is_flag=True,
    help="Also delete the messages whose records the stream has removed.",
)
@_queue_options
def redrive(*, stack: str | None, queue_url: str | None, delete_expired: bool) -> None:
    """Publish each batch in the dead-letter queue again, and delete its message.

    A message stays in the queue if its batch cannot be published. Exit with 1 then. To publish an
    event twice does no harm: its id is the same.
    """
    queue = _open_queue(stack, queue_url)
    stays = False
    with service_errors():
        from runyard_service.application.webhooks.redrive_events import redrive_events

        publisher = open_publisher(stack)
        for batch, outcome in redrive_events(
            publisher, queue, _stream_reader(), delete_expired=delete_expired
        ):
            stays = stays or outcome.startswith("stays")
            click.echo(f"{batch.records} records from {batch.first}: {outcome}")
    if stays:
        raise click.exceptions.Exit(1)


def _open_queue(stack: str | None, queue_url: str | None) -> "DeadLetterQueue":
    exactly_one(stack=stack, **{"queue-url": queue_url})
    require_extra("admin")
    with service_errors():
        import boto3

        from runyard_service.adapters.sqs import DeadLetterQueue

        url = physical_id(stack, "PublishDeadLetterQueue") if stack else queue_url
        return DeadLetterQueue(boto3.client("sqs"), url or "")


def _stream_reader() -> "Callable[[FailedBatch], Sequence[Mapping[str, Any]]]":
    import boto3
    from botocore.config import Config

    from runyard_service.adapters.failed_batches import read_records

    # The shards of the local emulator have shorter names than boto3 accepts.
    client = boto3.client("dynamodbstreams", config=Config(parameter_validation=False))
    return partial(read_records, client)


def _row(batch: "FailedBatch") -> tuple[str, ...]:
    from runyard_service.domain.clock import timestamp

    return (
        batch.first,
        str(batch.records),
        timestamp(batch.first_arrived_at),
        "expired" if batch.is_expired() else timestamp(batch.expires_at),
        batch.reason,
    )
