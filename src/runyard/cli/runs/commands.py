"""`runyard runs`: list, read, cancel, delete, repeat, compare and export runs."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, BinaryIO

import click

from runyard.cli.confirm import require_consent, yes_option
from runyard.cli.errors import note
from runyard.cli.output.escape import escape_json
from runyard.cli.output.timeline import (
    agent_name,
    format_age,
    format_duration,
    format_usage,
)
from runyard.cli.runs.agents import input_schema
from runyard.cli.runs.compare import compare
from runyard.cli.runs.run import detach_option, start, timeout_option, wait_option
from runyard.cli.runs.typed_values import parse_assignments
from runyard.cli.session import Session, api_command, api_path

STATUSES = ("created", "started", "paused", "awaiting_input", "completed", "failed", "canceled")
COLUMNS = ("ID", "STATUS", "AGENT", "AGE", "DURATION", "COST")


@click.group()
def runs() -> None:
    """List, read, cancel, delete, repeat, compare and export runs."""


@runs.command("list")
@click.option(
    "--status", multiple=True, type=click.Choice(STATUSES), help="Can be repeated. Default: all"
)
@click.option("--agent", metavar="NAME", help="Only runs of this agent.")
@click.option("--user-id", metavar="ID", help="Only runs for this user.")
@click.option("--session-id", metavar="UUID", help="Only runs of this session.")
@click.option("--started-after", metavar="TIME", help="RFC 3339, such as 2026-11-28T15:00:00Z.")
@click.option("--started-before", metavar="TIME", help="RFC 3339.")
@click.option("--ended-after", metavar="TIME", help="RFC 3339.")
@click.option("--sort", metavar="FIELDS", help="Such as -started_at or status,-ended_at.")
@click.option("--page", type=click.IntRange(min=1), metavar="N", help="Default: 1")
@click.option(
    "--limit", "page_size", type=click.IntRange(1, 500), default=20, show_default=True, metavar="N"
)
@api_command
def list_(session: Session, **filters: Any) -> None:
    """List runs, newest first."""
    answer = session.get("/v1/runs", **{name: value or None for name, value in filters.items()})
    found = answer.json["data"]
    session.show(
        answer,
        [run["id"] for run in found],
        lambda: session.table(COLUMNS, [_row(session, run) for run in found]),
    )
    pages = answer.json["pagination"]
    if session.mode == "terminal" and pages["page"] < pages["page_count"]:
        note(f"page {pages['page']} of {pages['page_count']}; the next one: --page N")


def _row(session: Session, run: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns; a pipe gets the time of the start in place of the age."""
    usage = run.get("usage") or {}
    duration = format_duration(usage["duration_ms"]) if "duration_ms" in usage else ""
    cost = "" if usage.get("cost_usd") is None else f"${usage['cost_usd']:.4f}"
    started = run["started_at"]
    age = started if session.mode == "pipe" else format_age(started)
    return run["id"], run["status"], agent_name(run), age, duration, cost


@runs.command()
@click.argument("run_id", metavar="RUN")
@api_command
def get(session: Session, *, run_id: str) -> None:
    """Show a run: its status, input, output, usage and open input requests."""
    answer = session.get(api_path("runs", run_id))
    found = answer.json["data"]
    session.show(answer, [found["id"]], lambda: session.fields(_fields(found)))


def _fields(run: Mapping[str, Any]) -> dict[str, Any]:
    special = {
        "agent": agent_name(run) or None,
        "usage": format_usage(run["usage"]) or None if "usage" in run else None,
        "input_requests": None,
    }
    requests = {
        f"asks {request['id']}": request["prompt"] for request in run.get("input_requests", ())
    }
    return {name: special.get(name, value) for name, value in run.items()} | requests


@runs.command()
@click.argument("run_id", metavar="RUN")
@api_command
def cancel(session: Session, *, run_id: str) -> None:
    """Cancel a run."""
    answer = session.send("POST", api_path("runs", run_id, "cancel"))
    session.show(answer, [run_id], lambda: note(f"{run_id} {_describe_end(session, run_id)}"))


def _describe_end(session: Session, run_id: str) -> str:
    """Return in words what became of a run; a run that has ended before cannot be canceled."""
    status = session.get(api_path("runs", run_id)).json["data"]["status"]
    ended = status in ("completed", "failed")
    return f"is not canceled, because it has ended before: {status}" if ended else "is canceled"


@runs.command()
@click.argument("run_ids", metavar="RUN…", nargs=-1, required=True)
@yes_option
@api_command
def delete(session: Session, *, run_ids: tuple[str, ...], is_agreed: bool) -> None:
    """Delete runs that have ended, with all of their data."""
    require_consent(f"Delete {len(run_ids)} runs with all of their data?", is_agreed=is_agreed)
    for run_id in run_ids:
        answer = session.send("DELETE", api_path("runs", run_id))
        if session.mode != "json":  # The API returns no body.
            session.show(answer, [run_id], partial(note, f"{run_id} is deleted"))


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "-i",
    "--set-input",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the input in place of the run's own.",
)
@detach_option
@timeout_option
@wait_option
@api_command
def again(
    session: Session,
    *,
    run_id: str,
    assignments: tuple[str, ...],
    detach: bool,
    timeout: float | None,
    waits: bool,
) -> None:
    """Start a run with the agent and the input of another run, and follow it.

    The files of the other run are not attached again.
    """
    original = session.get(api_path("runs", run_id)).json["data"]
    agent = agent_name(original) or None
    schema = input_schema(session, agent) if assignments else {}
    try:
        changes = parse_assignments(assignments, schema)
    except ValueError as error:
        raise click.UsageError(f"-i {error}") from None
    body = {
        "input": {**original["input"], **changes},
        "background": True,
        "agent": agent,
        "user_id": original.get("user_id"),
        "session_id": original.get("session_id"),
    }
    start(session, body, detach=detach, timeout=timeout, waits=waits)


@runs.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@api_command
def diff(session: Session, *, first: str, second: str) -> None:
    """Compare two runs: agents, inputs, texts, calls, results and outputs.

    Ids and times are left out. --json prints both logs.
    """
    compare(session, first, second)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--output", "file", type=click.File("wb"), help="Write into this file. Default: standard output"
)
@api_command
def export(session: Session, *, run_id: str, file: BinaryIO | None) -> None:
    """Print everything that the service stores of a run, as JSON lines.

    `runyard verify FILE` checks an export.
    """
    body = session.get(api_path("runs", run_id, "export")).body
    if file is not None:
        file.write(body)
    elif session.mode == "terminal":
        for line in body.decode().splitlines():
            print(escape_json(line))
    else:
        sys.stdout.buffer.write(body)
        sys.stdout.flush()
