"""Consent of a person to what cannot be undone."""

import sys

import click

from runyard.cli.output.escape import escape

yes_option = click.option(
    "--yes", "-y", "is_agreed", is_flag=True, help="Do not ask. Required without a terminal."
)


def require_consent(question: str, *, is_agreed: bool) -> None:
    """Ask the question unless `is_agreed`. Exit with code 2 without a terminal or without a yes."""
    if is_agreed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("there is no terminal to ask on: use --yes")
    if not click.confirm(escape(question), err=True):
        raise click.UsageError("not confirmed, so nothing was sent")
