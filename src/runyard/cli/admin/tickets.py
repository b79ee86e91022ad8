"""`runyard tickets`: the secret that signs stream tickets."""

import click

from runyard.cli.admin.installation import physical_id
from runyard.cli.admin.parameters import exactly_one
from runyard.cli.extras import require_extra, service_errors


@click.group()
def tickets() -> None:
    """Replace the secret that signs stream tickets."""


@tickets.command("rotate-secret")
@click.option("--stack", metavar="NAME", help="Rotate the secret of this deployed stack.")
@click.option("--secret", metavar="ID", help="Rotate the secret with this name or ARN.")
@click.option(
    "--at-once",
    is_flag=True,
    help="Rotate although tickets of the previous secret are still valid. They are rejected.",
)
def rotate_secret(*, stack: str | None, secret: str | None, at_once: bool) -> None:
    """Replace the secret of stream tickets.

    Issued tickets stay valid until they expire, and no function has to restart. AWS credentials
    are those that boto3 finds.
    """
    exactly_one(stack=stack, secret=secret)
    require_extra("admin")
    with service_errors():
        import boto3

        from runyard_service.adapters.secrets import rotate

        secret_id = secret or physical_id(str(stack), "TicketSecret")
        rotate(boto3.client("secretsmanager"), secret_id, at_once=at_once)
    click.echo("rotated; all functions sign with the new secret within five minutes")
