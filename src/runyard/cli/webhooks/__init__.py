"""`runyard webhooks`: the webhooks of a project, over HTTP."""

import click

from runyard.cli.admin.webhook_dead_letters import dead_letters, redrive


@click.group()
def webhooks() -> None:
    """Register webhooks, see their deliveries, and send them again."""


for _command in (dead_letters, redrive):
    webhooks.add_command(_command)
