"""`runyard keys`: create, list, rotate and revoke access keys."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from runyard.cli.admin.installation import installation_options, open_account_stores, open_agents
from runyard.cli.admin.key_requests import (
    create_key,
    print_keys,
    revoke_key,
    service_options,
    service_session,
    uses_service,
)
from runyard.cli.admin.parameters import DAYS, NAME, OVERLAP_HOURS, exactly_one
from runyard.cli.admin.tables import print_columns

if TYPE_CHECKING:
    from runyard_service.adapters.dynamodb.access_keys import AccessKey, Scope

# The service's scopes. A test compares both.
SCOPES = (
    *("runs:read", "runs:write", "files:write", "webhooks:read", "webhooks:write"),
    "keys:write",
)
COLUMNS = (
    *("ID", "ORG", "PROJECT", "USER", "AGENT", "SCOPES"),
    *("CREATED", "VALID UNTIL", "LAST USED", "REVOKED"),
)


@click.group()
def keys() -> None:
    """Create, list, rotate and revoke access keys.

    The keys are those of --stack or --table, or of the table that RECORDS_TABLE names, with AWS
    credentials as boto3 finds them. With --profile or --url, or if RUNYARD_PROFILE or RUNYARD_URL
    is set, they are those of an organization, over HTTP. Otherwise, or with --local, they are
    those of the local stack in DATA_DIR (default: .runyard), whether it is running or not.
    """


@keys.command()
@click.option("--project", type=NAME, help="The project of the key's runs.")
@click.option(
    "--organization",
    is_flag=True,
    help="Create a key for all projects of --org. Each request names one in X-Project-Id.",
)
@click.option("--org", type=NAME, default="default", show_default=True, help="The organization.")
@click.option("--agent", metavar="NAME", help="The only agent of the key's runs. Default: any")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What the key may do. Can be repeated. Default: everything except keys:write",
)
@click.option("--user-id", type=NAME, help="The user that the key represents. Default: its own id")
@click.option("--user-name", metavar="NAME", help="That user's name in lists of runs.")
@click.option("--user-email", metavar="EMAIL", help="That user's address in lists of runs.")
@click.option("--days", type=DAYS, help="How long the key is valid. Default: until it is revoked")
@installation_options
@service_options
def create(
    *,
    project: str | None,
    organization: bool,
    org: str,
    agent: str | None,
    scopes: "tuple[Scope, ...]",
    days: int | None,
    profile: str | None,
    url: str | None,
    **options: Any,
) -> None:
    """Create a key and print it. It is printed only once."""
    exactly_one(project=project, organization=organization)
    user = {name: options.pop(name) for name in ("user_id", "user_name", "user_email")}
    if uses_service(profile=profile, url=url, **options):
        fields = {"project_id": project, "agent": agent, "days": days, **user}
        with service_session(profile, url) as session:
            click.echo(create_key(session, {**fields, "scopes": list(scopes) or None}))
        return
    if agent:
        _require_agent(agent, options["stack"], options["table"])
    with open_account_stores(**options) as stores:
        from runyard_service.adapters.dynamodb.access_keys import DEFAULT_SCOPES, new_secret
        from runyard_service.domain.clock import now, timestamp

        secret = new_secret()
        stores.access_keys.save(
            secret,
            project_id=project or "",
            org_id=org,
            scopes=frozenset(scopes) or DEFAULT_SCOPES,
            agent=agent,
            valid_until=timestamp(now() + timedelta(days=days)) if days else None,
            **user,
        )
        click.echo(secret)


@keys.command("list")
@click.option("--org", metavar="NAME", help="List only the keys of this organization.")
@installation_options
@service_options
def list_(*, org: str | None, profile: str | None, url: str | None, **options: Any) -> None:
    """List all keys, without their secrets. Over HTTP, they are those of the key's organization."""
    if uses_service(profile=profile, url=url, **options):
        with service_session(profile, url) as session:
            print_keys(session, COLUMNS)
        return
    with open_account_stores(**options) as stores:
        found = [key for key in stores.access_keys.all() if org in (None, key.org_id)]
    found.sort(key=lambda key: (key.org_id, key.project_id, key.created_at))
    print_columns([COLUMNS, *map(_row, found)])


@keys.command()
@click.argument("key_id")
@click.option(
    "--overlap-hours",
    type=OVERLAP_HOURS,
    default=24,
    show_default=True,
    help="How long both keys are valid.",
)
@click.option(
    "--days", type=DAYS, help="How long the new key is valid. Default: as long as the old key was"
)
@installation_options
def rotate(*, key_id: str, overlap_hours: int, days: int | None, **options: Any) -> None:
    """Create a key with the same rights and print it. It is printed only once.

    The API cannot do it: over HTTP, create a key, and revoke the old one later.

    KEY_ID is the id of the old key, as `runyard keys list` prints it: key_…. The old key ends
    after --overlap-hours.
    """
    with open_account_stores(**options) as stores:
        from runyard_service.adapters.dynamodb.access_keys import new_secret

        secret = new_secret()
        key = stores.access_keys.rotate(
            key_id,
            secret,
            overlap=timedelta(hours=overlap_hours),
            valid_for=timedelta(days=days) if days else None,
        )
    _require_found(key, key_id)
    click.echo(secret)


@keys.command()
@click.argument("key_id")
@installation_options
@service_options
def revoke(*, key_id: str, profile: str | None, url: str | None, **options: Any) -> None:
    """End a key. It is rejected within one minute.

    KEY_ID is the id of the key, as `runyard keys list` prints it: key_….
    """
    if uses_service(profile=profile, url=url, **options):
        with service_session(profile, url) as session:
            click.echo(f"{key_id} revoked at {revoke_key(session, key_id)}")
        return
    with open_account_stores(**options) as stores:
        key = _require_found(stores.access_keys.revoke(key_id), key_id)
    click.echo(f"{key.id} revoked at {key.revoked_at}")


def _require_agent(agent: str, stack: str | None, table: str | None) -> None:
    """Raise a usage error unless the installation has the agent. Warn if its files are unknown."""
    with open_agents(stack, table) as agents:
        if agents is None:
            click.echo("the agent is not checked: BUCKET names no bucket of agents", err=True)
        elif agents.find(agent) is None:
            known = ", ".join(sorted(agents.definitions))
            raise click.UsageError(f"there is no agent {agent}. Use one of: {known}")


def _require_found(key: "AccessKey | None", key_id: str) -> "AccessKey":
    if key is None:
        raise click.ClickException(f"there is no key {key_id}")
    return key


def _row(key: "AccessKey") -> tuple[str, ...]:
    return (
        key.id,
        key.org_id,
        key.project_id or "(all)",
        key.user_id or "-",
        key.agent or "-",
        ",".join(sorted(key.scopes)),
        key.created_at,
        key.valid_until or "-",
        key.last_used_at or "-",
        key.revoked_at or "-",
    )
