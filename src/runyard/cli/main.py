"""The command `runyard`.

Exit codes: 0 for success, 1 for a failure, 2 for a wrong command line or a missing extra. Results
go to standard output, messages to standard error.
"""

import io
import sys

import click

from runyard.cli.agents import agents
from runyard.cli.dev import dev
from runyard.cli.events import events
from runyard.cli.keys import keys
from runyard.cli.lint import lint
from runyard.cli.new import new
from runyard.cli.projects import projects
from runyard.cli.tickets import tickets
from runyard.cli.vendor import vendor
from runyard.cli.verify import verify
from runyard.cli.webhooks import webhooks


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Run `runyard COMMAND --help` for the options of a command.",
)
@click.version_option(package_name="runyard")
def runyard() -> None:
    """Manage and run Runyard: agent runs on AWS."""


for _command in (
    *(agents, dev, events, keys, lint, new, projects),
    *(tickets, vendor, verify, webhooks),
):
    runyard.add_command(_command)


def main() -> None:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # On a terminal without UTF-8, print an escape instead of raising an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    runyard(prog_name="runyard")
