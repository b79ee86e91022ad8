"""Answers to input requests: their bodies, and how they are sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runyard.cli.runs.typed_values import parse_assignments
from runyard.cli.session import Answer, Session, api_path

APPROVAL = "approval_request"
FEEDBACK = "human_feedback"

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """What a person has decided about a request: the `data` of the answer, without the id."""

    data: Mapping[str, Any]


def approval(params: Mapping[str, Any] | None = None) -> Decision:
    """Approve, with changed params."""
    return Decision({"is_approved": True, **({"params": dict(params)} if params else {})})


def denial(reason: str | None = None) -> Decision:
    """Refuse. The model reads the reason."""
    return Decision({"is_approved": False, **({"feedback": reason} if reason else {})})


def feedback(value: Any) -> Decision:
    """Answer with a text, a choice or an object that fits the form."""
    return Decision({"feedback": value})


DECLINED = Decision({"declined": True})


def send_decision(session: Session, run_id: str, request: Request, decision: Decision) -> Answer:
    """Send the answer. Raise Conflict if the request is closed already."""
    body = {"type": request["type"], "data": {"request_id": request["id"], **decision.data}}
    return session.send("POST", api_path("runs", run_id, "input"), body=body)


def parse_edits(request: Request, words: list[str]) -> dict[str, Any]:
    """Return the changed params. Raise ValueError for one that may not be changed."""
    editable = request["editable_params"]
    edits = parse_assignments(words, params_schema(request))
    for name in edits:
        if name not in editable:
            allowed = ", ".join(editable) or "no param"
            raise ValueError(f"{name}: cannot be changed. You can change: {allowed}")
    return edits


def params_schema(request: Request) -> Mapping[str, Any]:
    """Return the schema of the params, or else the types that the proposed values have."""
    if schema := request.get("params_schema"):
        return dict(schema)
    return {"properties": {name: _schema_of(value) for name, value in request["params"].items()}}


def _schema_of(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return {"type": names[type(value)]} if type(value) in names else {}
