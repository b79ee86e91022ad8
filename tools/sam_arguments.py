"""Reads command lines of SAM as SAM does; runs where aws-sam-cli is installed.

Standard input has a JSON list of argument lists. Standard output has for each the parameters that
the template receives, or null where the arguments name a group of commands.
"""

import json
import sys

import click
from samcli.cli.main import cli


def parse(arguments: list[str]) -> "dict[str, str] | None":
    """Return the template's parameters by SAM's own parser. Raise click's error for a bad line."""
    command: click.Command = cli
    context = click.Context(cli, obj=True)  # With an object, SAM imports the command.
    while isinstance(command, click.Group):
        if not arguments:
            return None
        found = command.get_command(context, arguments[0])
        if found is None:
            raise click.UsageError(f"no such command: {arguments[0]}")
        command, arguments = found, arguments[1:]
    for option in command.params:
        if isinstance(option.type, click.Path):
            option.type.exists = False  # A build or the local stack makes the file.
    context = command.make_context(command.name, list(arguments))
    return dict(context.params.get("parameter_overrides") or {})


if __name__ == "__main__":
    json.dump([parse(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
