"""`runyard webhooks`: deliveries that failed for good."""

from typing import TYPE_CHECKING

import click

from runyard.cli.extras import require_extra, service_errors
from runyard.cli.installation import physical_id, stack_output

if TYPE_CHECKING:
    from runyard_service.settings import Settings


@click.group()
def webhooks() -> None:
    """Send webhook deliveries again that failed for good."""


@webhooks.command()
@click.option("--stack", metavar="NAME", help="Use the deployed stack of this name.")
def redeliver(*, stack: str | None) -> None:
    """Send each delivery in the dead-letter queue again, and delete its message.

    A message stays in the queue if its webhook is disabled. It needs no access key of the project.
    AWS credentials are those that boto3 finds. Without --stack, environment variables name the
    tables, the bucket and both queues, as in the functions.
    """
    require_extra("admin")
    with service_errors():
        import boto3

        from runyard_service.adapters.s3.bucket import Bucket
        from runyard_service.adapters.sqs import DeliveryQueue
        from runyard_service.adapters.stores import Stores
        from runyard_service.application.webhooks.redeliver import redeliver_dead_letters
        from runyard_service.settings import Settings

        settings = _stack_settings(stack) if stack else Settings.from_environment()
        stores = Stores.create(
            boto3.client("dynamodb"),
            Bucket(settings.bucket, lambda: boto3.client("s3")),
            events_table=settings.events_table,
            records_table=settings.records_table,
        )
        queue = DeliveryQueue(
            boto3.client("sqs"), settings.webhook_queue_url, settings.webhook_dead_letter_queue_url
        )
        for message, outcome in redeliver_dead_letters(stores, queue):
            click.echo(f"{message.delivery_id} of {message.project_id}: {outcome}")


def _stack_settings(stack: str) -> "Settings":
    from runyard_service.settings import Settings

    return Settings.from_environment(
        {
            "EVENTS_TABLE": stack_output(stack, "EventsTableName"),
            "RECORDS_TABLE": stack_output(stack, "RecordsTableName"),
            "BUCKET": stack_output(stack, "BucketName"),
            "WEBHOOK_QUEUE_URL": physical_id(stack, "WebhookQueue"),
            "WEBHOOK_DEAD_LETTER_QUEUE_URL": physical_id(stack, "WebhookDeadLetterQueue"),
        }
    )
