"""`runyard inbox`: the open input requests of a project."""

import time
from collections.abc import Mapping
from typing import Any

import click

from runyard.cli.errors import note
from runyard.cli.exit_codes import ExitCode
from runyard.cli.input_requests.answers import send_decision
from runyard.cli.input_requests.prompts import ask
from runyard.cli.output.console import can_ask
from runyard.cli.output.escape import compact_json
from runyard.cli.output.timeline import format_age
from runyard.cli.session import Answer, Session, api_command

COLUMNS = ("RUN", "AGE", "ASKS")
_WATCH_SECONDS = 2.0
_PAGE_SIZE = 100


@click.group(invoke_without_command=True)
@click.option("--watch", is_flag=True, help="Also print each new input request, until Ctrl-C.")
@api_command
def inbox(session: Session, *, watch: bool) -> None:
    """List the open input requests of all runs, oldest first; `next` answers the oldest one."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    if watch:
        _watch(session)
        return
    answer = read_inbox(session)
    _show(session, answer, answer.json["data"])


def read_inbox(session: Session) -> Answer:
    """Return the first page of open input requests, oldest first."""
    return session.get("/v1/input-requests", page_size=_PAGE_SIZE)


def _show(session: Session, answer: Answer, requests: list[Mapping[str, Any]]) -> None:
    def draw() -> None:
        if session.mode == "terminal" and not requests:
            note("No run waits for a person.")
            return
        session.table(COLUMNS, [_row(session, request) for request in requests])

    session.show(answer, [request["id"] for request in requests], draw)


def _row(session: Session, request: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the run, the age and the prompt; in a pipe the run, the id, the time, the prompt."""
    created_at = request.get("created_at", "")
    if session.mode == "pipe":
        return request["run_id"], request["id"], created_at, request["prompt"]
    return request["run_id"], format_age(created_at) if created_at else "", request["prompt"]


def _watch(session: Session) -> None:
    """Print the open input requests, and each new one, as one line each."""
    seen: set[str] = set()
    while True:
        requests = read_inbox(session).json["data"]
        for request in requests:
            if request["id"] in seen:
                continue
            if session.mode == "json":
                print(compact_json(request), flush=True)
            elif session.mode == "quiet":
                print(request["id"], flush=True)
            else:
                session.lines([_row(session, request)])
        seen = {request["id"] for request in requests}
        time.sleep(_WATCH_SECONDS)


@inbox.command("next")
@api_command
def next_(session: Session) -> None:
    """Show the oldest open input request, and approve, edit, refuse, answer or leave it."""
    if not can_ask():
        raise click.UsageError(
            "there is no terminal to ask on: use `runyard inbox`, and approve, refuse or answer"
        )
    requests = read_inbox(session).json["data"]
    if not requests:
        note("No run waits for a person.")
        return
    request = requests[0]
    note(f"run {request['run_id']}, {len(requests)} open")
    decision = ask(request)
    if decision is None:
        note("It stays open.")
        raise click.exceptions.Exit(ExitCode.WAITS)
    answer = send_decision(session, request["run_id"], request, decision)
    session.show(answer, [request["run_id"]], lambda: note("The answer is recorded."))
