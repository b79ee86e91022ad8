"""`runyard webhooks dead-letters` and `redrive`: deliveries that failed for good."""

from typing import TYPE_CHECKING

import click

from runyard.cli.admin.installation import open_publisher
from runyard.cli.admin.tables import print_columns
from runyard.cli.extras import require_extra, service_errors

if TYPE_CHECKING:
    from runyard_service.adapters.sqs import DeliveryMessage
    from runyard_service.domain.webhooks import Delivery


_STACK = click.option("--stack", metavar="NAME", help="Use the deployed stack of this name.")
COLUMNS = ("DELIVERY", "PROJECT", "WEBHOOK", "EVENT", "CREATED AT", "FAILURE")


@click.command("dead-letters")
@_STACK
def dead_letters(*, stack: str | None) -> None:
    """List the deliveries of all projects in the dead-letter queue.

    The command needs no access key of a project. AWS credentials are those that boto3 finds.
    Without --stack, environment variables name the tables, the bucket and both queues, as in the
    functions.
    """
    require_extra("admin")
    with service_errors():
        from runyard_service.application.webhooks.redeliver import list_dead_letters

        publisher = open_publisher(stack)
        found = list_dead_letters(publisher.stores, publisher.queue)
        print_columns([COLUMNS, *(_row(*each) for each in found)])


@click.command()
@click.option(
    "--delete-disabled",
    is_flag=True,
    help="Delete the messages of disabled webhooks, without a redelivery.",
)
@_STACK
def redrive(*, stack: str | None, delete_disabled: bool) -> None:
    """Send each delivery in the dead-letter queue again, and delete its message.

    A message stays in the queue if its webhook is disabled. The installation is that of
    `runyard webhooks dead-letters`.
    """
    require_extra("admin")
    with service_errors():
        from runyard_service.application.webhooks.redeliver import redeliver_dead_letters

        publisher = open_publisher(stack)
        for message, outcome in redeliver_dead_letters(
            publisher.stores, publisher.queue, delete_disabled=delete_disabled
        ):
            click.echo(f"{message.delivery_id} of {message.project_id}: {outcome}")


def _row(message: "DeliveryMessage", delivery: "Delivery | None") -> tuple[str, ...]:
    ids = (message.delivery_id, message.project_id, message.webhook_id)
    if delivery is None:
        return (*ids, "-", "-", "deleted")
    is_failed = (delivery.state, delivery.round) == ("failed", message.round)
    failure = delivery.failure or "-" if is_failed else "sent again"
    return (*ids, delivery.event_type, delivery.created_at, failure)
