"""Consent of a person to what cannot be undone."""

import sys

import click

from runyard.cli.output.escape import escape

yes_option = click.option(
    "--yes", "-y", "is_agreed", is_flag=True, help="Do not ask. Required without a terminal."
)


def require_consent(prompt: str, *, is_agreed: bool) -> None:
    """Show the prompt unless `is_agreed`. Without a yes, exit with code 2."""
    if is_agreed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("there is no terminal to ask on: use --yes")
    if not click.confirm(escape(prompt), err=True):
        raise click.UsageError("not confirmed, so nothing was sent")
