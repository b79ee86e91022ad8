"""`runyard run` and `runyard follow`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from runyard.cli.errors import note
from runyard.cli.runs.agents import complete_agent, input_schema
from runyard.cli.runs.following import Follower, open_writer
from runyard.cli.runs.typed_values import parse_assignments
from runyard.cli.session import Session, api_command, api_path

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop following after this time, with exit code 9. The run continues.",
)
wait_option = click.option(
    "--wait",
    "waits",
    is_flag=True,
    help="Without a terminal: also wait while a person elsewhere has to answer.",
)
detach_option = click.option(
    "--detach", is_flag=True, help="Print the id of the run, and do not follow it."
)


@click.command()
@click.argument("agent", required=False, shell_complete=complete_agent)
@click.option(
    "-i",
    "--set-input",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the input, with the type of the agent's input schema. NAME:=JSON is JSON.",
)
@click.option(
    "--input", "file", type=click.File("rb"), help="The input as a JSON object. -: standard input"
)
@click.option(
    "--file",
    "attachments",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Attach this file. Can be repeated.",
)
@click.option("--user-id", metavar="ID", help="The user for whom the run works.")
@click.option("--session-id", metavar="UUID", help="The session of the run.")
@detach_option
@timeout_option
@wait_option
@api_command
def run(
    session: Session,
    *,
    agent: str | None,
    assignments: tuple[str, ...],
    file: BinaryIO | None,
    attachments: tuple[Path, ...],
    user_id: str | None,
    session_id: str | None,
    detach: bool,
    timeout: float | None,
    waits: bool,
) -> None:
    """Start a run, follow it, and answer its input requests on the terminal.

    AGENT is its name, or NAME@VERSION. Without it the key's agent or the default agent runs. The
    exit code is the fate of the run.
    """
    run_input = read_input(session, agent, assignments, file)
    body = {
        "input": run_input,
        "background": True,
        "agent": agent,
        "user_id": user_id,
        "session_id": session_id,
        "file_ids": [session.upload(path) for path in attachments] or None,
    }
    start(session, body, detach=detach, timeout=timeout, waits=waits)


def start(
    session: Session,
    body: Mapping[str, Any],
    *,
    detach: bool,
    timeout: float | None = None,
    waits: bool = False,
) -> None:
    """Create the run, and follow it unless `detach`; exit with its exit code."""
    fields = {name: value for name, value in body.items() if value is not None}
    answer = session.send("POST", "/v1/runs", body=fields)
    created = answer.json["data"]
    if detach:
        session.show(answer, [created["id"]], lambda: print(created["id"]))
        return
    writer = open_writer(session.mode)
    writer.start(created)
    follower = Follower(session, created["id"], writer, timeout=timeout, waits=waits)
    raise click.exceptions.Exit(follower.follow())


def read_input(
    session: Session, agent: str | None, assignments: tuple[str, ...], file: BinaryIO | None
) -> dict[str, Any]:
    """Return the input of `--input` and `-i`; a field of `-i` wins."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = json.load(file)
        except ValueError as error:
            raise click.UsageError(f"--input: is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise click.UsageError("--input: must be a JSON object")
    elif not assignments:
        note("The input is empty. Set it with -i NAME=VALUE, or --input FILE.")
    schema = input_schema(session, agent) if assignments else {}
    try:
        return values | parse_assignments(assignments, schema)
    except ValueError as error:
        raise click.UsageError(f"-i {error}") from None


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--from",
    "first",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Start with event N. Default: the first one",
)
@timeout_option
@wait_option
@api_command
def follow(
    session: Session, *, run_id: str, first: int, timeout: float | None, waits: bool
) -> None:
    """Follow a run: its text, calls and waits, live or from its log.

    The command reconnects by itself. On a terminal it asks for an answer to each open input
    request. The exit code is the fate of the run.
    """
    found = session.get(api_path("runs", run_id)).json["data"]
    writer = open_writer(session.mode)
    writer.start(found)
    follower = Follower(session, found["id"], writer, after=first - 1, timeout=timeout, waits=waits)
    raise click.exceptions.Exit(follower.follow())
