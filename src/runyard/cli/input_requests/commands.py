"""`runyard answer`, `approve` and `refuse`."""

from collections.abc import Mapping
from typing import Any

import click

from runyard.cli.confirm import require_consent, yes_option
from runyard.cli.errors import fail, note
from runyard.cli.exit_codes import ExitCode
from runyard.cli.input_requests.answers import (
    APPROVAL,
    DECLINED,
    FEEDBACK,
    Decision,
    approval,
    denial,
    feedback,
    parse_edits,
    send_decision,
)
from runyard.cli.input_requests.prompts import show_request
from runyard.cli.runs.typed_values import parse_value
from runyard.cli.session import Session, api_command, api_path

_run = click.argument("run_id", metavar="RUN")
_request = click.option(
    "--request", "request_id", metavar="ID", help="The input request, if the run has several."
)


@click.command()
@_run
@click.argument("text", required=False)
@click.option("--decline", is_flag=True, help="Do not answer. The agent continues without it.")
@_request
@api_command
def answer(
    session: Session, *, run_id: str, text: str | None, decline: bool, request_id: str | None
) -> None:
    """Answer the input request of a run.

    TEXT is the answer, one of the choices, or the form as a JSON object.
    """
    if decline == (text is not None):
        raise click.UsageError("use exactly one of TEXT and --decline")
    request = _find(session, run_id, request_id, FEEDBACK)
    decision = DECLINED
    if text is not None:
        is_form = bool(request["params"].get("form"))
        try:
            decision = feedback(parse_value("TEXT", text, {"type": "object"}) if is_form else text)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    _send(session, run_id, request, decision)


@click.command()
@_run
@click.option(
    "--set",
    "edits",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change an editable param. NAME:=JSON is JSON.",
)
@_request
@yes_option
@api_command
def approve(
    session: Session,
    *,
    run_id: str,
    edits: tuple[str, ...],
    request_id: str | None,
    is_agreed: bool,
) -> None:
    """Approve what a run asks."""
    request = _find(session, run_id, request_id, APPROVAL)
    try:
        params = parse_edits(request, list(edits))
    except ValueError as error:
        raise click.UsageError(f"--set {error}") from None
    _consent({**request, "params": {**request["params"], **params}}, "Approve?", is_agreed)
    _send(session, run_id, request, approval(params))


@click.command()
@_run
@click.option("--reason", metavar="TEXT", help="The agent reads it.")
@_request
@yes_option
@api_command
def refuse(
    session: Session, *, run_id: str, reason: str | None, request_id: str | None, is_agreed: bool
) -> None:
    """Refuse what a run asks."""
    request = _find(session, run_id, request_id, APPROVAL)
    _consent(request, "Refuse?", is_agreed)
    _send(session, run_id, request, denial(reason))


def _consent(request: Mapping[str, Any], prompt: str, is_agreed: bool) -> None:
    if not is_agreed:
        show_request(request)
    require_consent(prompt, is_agreed=is_agreed)


def _find(session: Session, run_id: str, request_id: str | None, type_: str) -> Mapping[str, Any]:
    """Return the open request of the run, or exit with a message that says what to do."""
    run = session.get(api_path("runs", run_id)).json["data"]
    requests = run.get("input_requests") or []
    if request_id is not None:
        found = [request for request in requests if request["id"] == request_id.lower()]
        if not found:
            fail(f"the run has no open input request {request_id}", ExitCode.CONFLICT)
        requests = found
    if not requests:
        fail(f"the run is {run['status']} and asks nothing", ExitCode.CONFLICT)
    fitting = [request for request in requests if request["type"] == type_]
    if len(fitting) > 1:
        ids = "\n  ".join(f"{request['id']}  {request['prompt']}" for request in fitting)
        raise click.UsageError(
            f"several input requests are open: use --request with one of\n  {ids}"
        )
    if not fitting:
        commands = ("approve", "refuse") if type_ == FEEDBACK else ("answer",)
        ways = " or ".join(f"`runyard {command} {run_id}`" for command in commands)
        raise click.UsageError(f"the run asks {requests[0]['prompt']!r}: use {ways}")
    request: Mapping[str, Any] = fitting[0]
    return request


def _send(session: Session, run_id: str, request: Mapping[str, Any], decision: Decision) -> None:
    sent = send_decision(session, run_id, request, decision)
    session.show(sent, [run_id], lambda: note("The answer is recorded."))
