"""The command `runyard`.

`exit_codes.py` has the exit codes. Results go to standard output, messages to standard error.
"""

import io
import sys
from importlib import import_module

import click

_INPUT_REQUESTS = "runyard.cli.input_requests"
_PROFILES = "runyard.cli.profiles.commands"

# Each command: its module, and its line in the help. `runyard --help` imports none of them.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Runs and people": {
        "run": ("runyard.cli.runs.run", "Start a run, follow it, and answer it."),
        "follow": ("runyard.cli.runs.run", "Follow a run, live or from its log."),
        "inbox": (f"{_INPUT_REQUESTS}.inbox", "List or answer what runs ask people."),
        "answer": (f"{_INPUT_REQUESTS}.commands", "Answer a run."),
        "approve": (f"{_INPUT_REQUESTS}.commands", "Approve what a run asks."),
        "refuse": (f"{_INPUT_REQUESTS}.commands", "Deny what a run asks."),
        "runs": ("runyard.cli.runs.commands", "List, read, repeat, compare and export runs."),
        "threads": ("runyard.cli.threads.commands", "List threads, and chat in them."),
        "agents": ("runyard.cli.agents", "Show, check and publish agents."),
        "webhooks": ("runyard.cli.webhooks.commands", "Register webhooks; see their deliveries."),
        "verify": ("runyard.cli.verify", "Check the log of a run, or of every run."),
    },
    "Connection": {
        "login": (_PROFILES, "Store the URL and the access key of a service."),
        "profiles": (_PROFILES, "List, choose and remove profiles."),
        "whoami": (_PROFILES, "Show the connection and what the key may do."),
        "console": ("runyard.cli.console", "Open the web console in a browser."),
        "completion": ("runyard.cli.completion", "Complete commands in a shell."),
    },
    "Development": {
        "dev": ("runyard.cli.dev", "Run the local stack, on emulators."),
        "new": ("runyard.cli.new", "Create a project that needs no clone."),
        "vendor": ("runyard.cli.vendor", "Copy the installed service into a project."),
        "lint": ("runyard.cli.lint", "Check the code of durable agents."),
    },
    "Administration": {
        "keys": ("runyard.cli.admin.keys", "Create, list, rotate and revoke access keys."),
        "projects": ("runyard.cli.admin.projects", "Set the limits and retention of projects."),
        "tickets": ("runyard.cli.admin.tickets", "Replace the secret of stream tickets."),
        "events": ("runyard.cli.admin.events", "Publish events that were not published."),
    },
}
_COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return the command; None if there is none of this name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the sections of commands, without importing a command."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Run `runyard COMMAND --help` for the options of a command.",
)
@click.version_option(package_name="runyard")
def runyard() -> None:
    """Runyard: agent runs on AWS. Start runs, answer them, and manage an installation."""


def main() -> None:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # On a terminal without UTF-8, print an escape instead of raising an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    runyard(prog_name="runyard")
