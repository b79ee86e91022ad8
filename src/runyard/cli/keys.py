"""`python -m runyard.cli.keys create | list | rotate | revoke | project`: access keys.

Of which installation: `--table`, `--stack` (a deployed stack's name), or `RECORDS_TABLE`, with AWS
credentials as boto3 finds them; with none of these, the local stack's in `DATA_DIR` (default
`.runyard`), whether it is running or not.
"""

import argparse
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import get_args

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from runyard.cli.console import escape_what_cannot_be_encoded
from runyard_service.adapters.dynamodb.access_keys import (
    ALL_SCOPES,
    MAX_NAME_LENGTH,
    AccessKey,
    AccessKeys,
    Scope,
)
from runyard_service.adapters.dynamodb.projects import ProjectCaps, RetentionDays
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import now, stamp
from runyard_service.domain.errors import RunyardError

RECORDS_TABLE_ID = "RecordsTable"
_COLUMNS = (
    *("ID", "ORG", "PROJECT", "USER", "AGENT", "SCOPES"),
    *("CREATED", "VALID UNTIL", "LAST USED", "REVOKED"),
)


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code is 1 where it failed, 2 where its words are off."""
    escape_what_cannot_be_encoded()
    arguments = _parser().parse_args(words)
    try:
        with _opened(arguments) as store:
            return _COMMANDS[arguments.command](store, arguments)
    except (RunyardError, ClientError, BotoCoreError) as error:
        print(f"runyard.cli.keys: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    place = where.add_mutually_exclusive_group()
    place.add_argument("--table", help="the records table")
    place.add_argument("--stack", help="the deployed stack that has the table")
    parser = argparse.ArgumentParser(prog="runyard.cli.keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    create = commands.add_parser("create", parents=[where], help="make a key and print it, once")
    owner = create.add_mutually_exclusive_group(required=True)
    owner.add_argument("--project", type=_name, help="what the key's runs belong to")
    owner.add_argument(
        "--organization",
        action="store_true",
        help="a key for all projects of --org; each request names one in X-Project-Id",
    )
    create.add_argument("--org", type=_name, default="default")
    create.add_argument("--agent", help="the agent that its runs start; default: DEFAULT_AGENT")
    create.add_argument("--scope", action="append", choices=get_args(Scope), help="default: all")
    create.add_argument(
        "--user-id", type=_name, help="whom the key stands for; default: its own id"
    )
    create.add_argument("--user-name", help="that person's name, in lists of runs")
    create.add_argument("--user-email", help="that person's address, in lists of runs")
    create.add_argument("--days", type=_days, help="how long it is valid; default: until revoked")

    listing = commands.add_parser("list", parents=[where], help="print every key, without secrets")
    listing.add_argument("--org", help="only this organization's")

    rotate = commands.add_parser(
        "rotate",
        parents=[where],
        help="make a key that may do the same and print it, once; the old one ends a day later",
    )
    rotate.add_argument("id", help="the old key's, as `list` prints it: key_…")
    rotate.add_argument(
        "--overlap-hours", type=_hours, default=24, help="how long both are valid; default: 24"
    )
    rotate.add_argument(
        "--days", type=_days, help="how long the new key is valid; default: as long as the old was"
    )

    revoke = commands.add_parser("revoke", parents=[where], help="end a key, within a minute")
    revoke.add_argument("id", help="as `list` prints it: key_…")

    project = commands.add_parser(
        "project",
        parents=[where],
        help="give a project to an organization (a project's key does), or cap what it spends",
    )
    project.add_argument("project", type=_name)
    project.add_argument("--org", type=_name, default="default")
    project.add_argument(
        "--daily-usd",
        type=_usd,
        help="what its runs may cost in a day (UTC), within a minute; 0: no limit",
    )
    project.add_argument(
        "--retention-days",
        type=_kept_days,
        default=argparse.SUPPRESS,
        help="how long its ended runs are kept; 0: for ever; `default`: as the installation says",
    )
    return parser


def _name(text: str) -> str:
    # It has to fit a header's value, as it is.
    if text != text.strip() or not text.isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError("must be printable ASCII, without spaces around it")
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_NAME_LENGTH} characters long")
    return text


def _usd(text: str) -> Decimal:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise argparse.ArgumentTypeError("must be an amount like 50 or 0.25")
    return Decimal(text)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 36_500:
        raise argparse.ArgumentTypeError("must be a number of days from 1 to 36500")
    return int(text)


def _hours(text: str) -> int:
    if not text.isdecimal() or int(text) > 8_760:
        raise argparse.ArgumentTypeError("must be a number of hours from 0 to 8760")
    return int(text)


def _kept_days(text: str) -> int | None:
    if text == "default":
        return None
    return 0 if text == "0" else _days(text)


@dataclass(frozen=True)
class _Store:
    """What the commands read and write."""

    keys: AccessKeys
    caps: ProjectCaps
    retention: RetentionDays


@contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[_Store]:
    table = arguments.table or os.environ.get("RECORDS_TABLE")
    if arguments.stack:
        found = boto3.client("cloudformation").describe_stack_resource(
            StackName=arguments.stack, LogicalResourceId=RECORDS_TABLE_ID
        )
        table = found["StackResourceDetail"]["PhysicalResourceId"]
    if table:
        records = Table(boto3.client("dynamodb"), table)
        yield _Store(AccessKeys(records), ProjectCaps(records), RetentionDays(records))
        return
    from runyard_dev.data_dir import chosen_data_dir
    from runyard_dev.open_store import open_store

    with open_store(chosen_data_dir()) as stores:
        yield _Store(stores.access_keys, stores.project_caps, stores.retention_days)


def _new_secret() -> str:
    return f"ry_{secrets.token_urlsafe(32)}"


def _create(store: _Store, arguments: argparse.Namespace) -> int:
    secret = _new_secret()
    store.keys.ensure(
        secret,
        project_id=arguments.project or "",
        org_id=arguments.org,
        scopes=frozenset(arguments.scope or ALL_SCOPES),
        agent=arguments.agent,
        valid_until=stamp(now() + timedelta(days=arguments.days)) if arguments.days else None,
        user_id=arguments.user_id,
        user_name=arguments.user_name,
        user_email=arguments.user_email,
    )
    print(secret)
    return 0


def _list(store: _Store, arguments: argparse.Namespace) -> int:
    found = [key for key in store.keys.all() if arguments.org in (None, key.org_id)]
    found.sort(key=lambda key: (key.org_id, key.project_id, key.created_at))
    rows = [_COLUMNS, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def _row(key: AccessKey) -> tuple[str, ...]:
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


def _rotate(store: _Store, arguments: argparse.Namespace) -> int:
    secret = _new_secret()
    key = store.keys.rotate(
        arguments.id,
        secret,
        overlap=timedelta(hours=arguments.overlap_hours),
        valid_for=timedelta(days=arguments.days) if arguments.days else None,
    )
    if key is None:
        return _unknown(arguments.id)
    print(secret)
    return 0


def _unknown(key_id: str) -> int:
    print(f"runyard.cli.keys: there is no key {key_id}", file=sys.stderr)
    return 1


def _revoke(store: _Store, arguments: argparse.Namespace) -> int:
    key = store.keys.revoke(arguments.id)
    if key is None:
        return _unknown(arguments.id)
    print(f"{key.id} revoked at {key.revoked_at}")
    return 0


def _project(store: _Store, arguments: argparse.Namespace) -> int:
    project = arguments.project
    store.keys.claim_project(project, arguments.org)
    print(f"{project} belongs to {arguments.org}")
    if arguments.daily_usd is not None:
        store.caps.set(project, arguments.daily_usd)
        print(f"{project} may spend {arguments.daily_usd or 'any number of'} USD a day")
    if "retention_days" in arguments:
        days = arguments.retention_days
        store.retention.set(project, days)
        kept = "for as long as the installation's" if days is None else f"for {days} days"
        print(f"runs of {project} are kept {'for ever' if days == 0 else kept}")
    return 0


_COMMANDS = {
    "create": _create,
    "list": _list,
    "rotate": _rotate,
    "revoke": _revoke,
    "project": _project,
}

if __name__ == "__main__":
    sys.exit(main())
