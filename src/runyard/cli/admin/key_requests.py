"""Manage access keys over HTTP, with the key of an organization that has the scope `keys:write`."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from runyard.cli.admin.parameters import at_most_one
from runyard.cli.admin.tables import print_columns
from runyard.cli.errors import exit_codes
from runyard.cli.session import Session, choose_mode

_PAGE_SIZE = 500


def service_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--url` and `--profile` to a command."""
    for option in (
        click.option("--url", metavar="URL", help="Use the service at this URL, over HTTP."),
        click.option("--profile", metavar="NAME", help="Use the service of this profile."),
    ):
        function = option(function)
    return function


def uses_service(
    *, profile: str | None, url: str | None, stack: str | None, table: str | None, local: bool
) -> bool:
    """Return whether a command works over HTTP: an option or a variable names a service."""
    at_most_one(stack=stack, table=table, local=local, **{"profile or --url": profile or url})
    if profile or url:
        return True
    if stack or table or local or os.environ.get("RECORDS_TABLE"):
        return False
    return bool(os.environ.get("RUNYARD_URL") or os.environ.get("RUNYARD_PROFILE"))


@contextmanager
def service_session(profile: str | None, url: str | None) -> Iterator[Session]:
    """Yield a session with the service; turn its errors into exit codes."""
    mode = choose_mode(is_json=False, is_quiet=False)
    session = Session(mode, {"profile": profile, "url": url})
    with exit_codes():
        try:
            yield session
        finally:
            session.close()


def create_key(session: Session, fields: Mapping[str, Any]) -> str:
    """Create a key and return its secret. A field that is None has the service's default."""
    body = {name: value for name, value in fields.items() if value is not None}
    secret: str = session.send("POST", "/v1/keys", body=body).json["data"]["secret"]
    return secret


def print_keys(session: Session, columns: tuple[str, ...]) -> None:
    """Print all keys of the organization, without their secrets."""
    rows, page = [columns], 1
    while True:
        found = session.get("/v1/keys", page=page, page_size=_PAGE_SIZE).json
        rows += map(_row, found["data"])
        if page >= found["pagination"]["page_count"]:
            break
        page += 1
    print_columns(rows)


def revoke_key(session: Session, key_id: str) -> str:
    """End a key and return the time of its end."""
    revoked: str = session.send("DELETE", f"/v1/keys/{key_id}").json["data"]["revoked_at"]
    return revoked


def _row(key: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        key["id"],
        key["org_id"],
        key.get("project_id", "(all)"),
        *(key.get(name) or "-" for name in ("user_id", "agent")),
        ",".join(key["scopes"]),
        key["created_at"],
        *(key.get(name) or "-" for name in ("valid_until", "last_used_at", "revoked_at")),
    )
