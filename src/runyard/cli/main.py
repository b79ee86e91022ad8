"""The command `runyard`.

`exit_codes.py` has the exit codes. Results go to standard output, messages to standard error.
"""

import io
import sys

import click

from runyard.cli.admin.events import events
from runyard.cli.admin.keys import keys
from runyard.cli.admin.projects import projects
from runyard.cli.admin.tickets import tickets
from runyard.cli.agents import agents
from runyard.cli.completion import completion
from runyard.cli.console import console
from runyard.cli.dev import dev
from runyard.cli.input_requests.commands import answer, approve, refuse
from runyard.cli.input_requests.inbox import inbox
from runyard.cli.lint import lint
from runyard.cli.profiles.commands import login, profiles, whoami
from runyard.cli.runs.commands import runs
from runyard.cli.runs.run import follow, run
from runyard.cli.threads.commands import threads
from runyard.cli.verify import verify
from runyard.cli.webhooks.commands import webhooks

_COMMANDS: tuple[click.Command, ...] = (
    *(run, follow, inbox, answer, approve, refuse, runs, threads, agents, webhooks),
    *(login, profiles, whoami, console, completion),
    *(dev, lint, verify, keys, projects, tickets, events),
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Run `runyard COMMAND --help` for the options of a command.",
)
@click.version_option(package_name="runyard")
def runyard() -> None:
    """Runyard: agent runs on AWS. Start runs, answer them, and manage an installation."""


for _command in _COMMANDS:
    runyard.add_command(_command)


def main() -> None:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # On a terminal without UTF-8, print an escape instead of raising an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    runyard(prog_name="runyard")
