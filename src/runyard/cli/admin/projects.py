"""`runyard projects`: the settings of projects."""

from decimal import Decimal
from typing import Any

import click

from runyard.cli.admin.installation import installation_options, open_account_stores
from runyard.cli.admin.parameters import (
    ACTIVE_RUNS,
    DOLLARS,
    NAME,
    RETENTION_PERIOD,
    NumberOrDefault,
)


@click.group()
def projects() -> None:
    """Set the organization, daily cap, active runs and retention of a project.

    The projects are those of --stack or --table, or of the table that RECORDS_TABLE names, with
    AWS credentials as boto3 finds them. Otherwise they are those of the local stack in DATA_DIR.
    """


@projects.command("set")
@click.argument("project", metavar="NAME", type=NAME)
@click.option(
    "--org",
    type=NAME,
    default="default",
    show_default=True,
    help="The organization. The first organization that claims a project owns it.",
)
@click.option(
    "--daily-usd",
    type=DOLLARS,
    help="What the project's runs may cost in a day (UTC). 0: no limit",
)
@click.option(
    "--retention-days",
    type=RETENTION_PERIOD,
    help="Days until ended runs are deleted. 0: never; default: the installation's value",
)
@click.option(
    "--max-active-runs",
    type=ACTIVE_RUNS,
    help="Active runs of the project at most. 0: no limit; default: the installation's value",
)
@installation_options
def set_(
    *,
    project: str,
    org: str,
    daily_usd: Decimal | None,
    retention_days: int | None,
    max_active_runs: int | None,
    **installation: Any,
) -> None:
    """Assign a project to an organization and change its settings.

    Settings that you do not name stay unchanged. A changed limit applies within a minute.
    """
    with open_account_stores(**installation) as stores:
        stores.access_keys.claim_project(project, org)
        click.echo(f"{project} belongs to {org}")
        if daily_usd is not None:
            stores.project_limits.set_daily_usd(project, daily_usd)
            limit = f"{daily_usd} USD a day" if daily_usd else "no limit"
            click.echo(f"spending of {project}: {limit}")
        if retention_days is not None:
            stores.retention_days.set(project, _stored(retention_days))
            click.echo(f"retention of {project}: {_describe(retention_days, ' days')}")
        if max_active_runs is not None:
            stores.project_limits.set_max_active_runs(project, _stored(max_active_runs))
            click.echo(f"active runs of {project}: {_describe(max_active_runs)}")


def _stored(number: int) -> int | None:
    """Return the project's own number; None for the installation's value."""
    return None if number == NumberOrDefault.INSTALLATION_DEFAULT else number


def _describe(number: int, unit: str = "") -> str:
    if _stored(number) is None:
        return "default"
    return f"{number}{unit}" if number else "no limit"
