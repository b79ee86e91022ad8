"""Compare two runs by their records and logs, without ids and times."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from runyard.cli.output.escape import compact_json, escape, indented_json
from runyard.cli.output.timeline import agent_name
from runyard.cli.session import Session, api_path

_PAGE_SIZE = 500
_FIELDS = ("status", "model", "input", "output", "error")
# What an event says about the behavior of a run: the fields that can be compared.
_COMPARED = {
    "agent.message.completed": ("content", "model", "usage"),
    "agent.tool_call.started": ("input",),
    "agent.tool_call.completed": ("result",),
    "agent.tool_call.failed": ("error",),
    "agent.step.completed": ("result",),
    "agent.step.failed": ("error",),
    "agent.human_feedback.requested": ("prompt",),
    "agent.human_feedback.received": ("feedback", "declined"),
    "approval_request.created": ("prompt", "params"),
    "approval_request.resolved": ("is_approved", "effective_params", "feedback"),
    "input_request.expired": ("on_expiry",),
    "run.recovered": ("reason",),
}


def compare(session: Session, first: str, second: str) -> None:
    """Print a unified diff of both runs, or both as JSON."""
    pairs = [(run_id, *_read(session, run_id)) for run_id in (first, second)]
    if session.mode == "json":
        print(compact_json([{"run": run, "events": events} for _, run, events in pairs]))
        return
    texts = [list(_lines(run, events)) for _, run, events in pairs]
    old, new = texts
    for line in difflib.unified_diff(old, new, first, second, lineterm="", n=2):
        print(escape(line))


def _read(session: Session, run_id: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    run = session.get(api_path("runs", run_id)).json["data"]
    events: list[Mapping[str, Any]] = []
    page = 1
    while True:
        found = session.get(
            api_path("runs", run_id, "events"), page=page, page_size=_PAGE_SIZE
        ).json
        events += found["data"]
        if page >= found["pagination"]["page_count"]:
            return run, events
        page += 1


def _lines(run: Mapping[str, Any], events: list[Mapping[str, Any]]) -> Iterator[str]:
    yield f"agent: {agent_name(run)}"
    for name in _FIELDS:
        if name in run:
            yield from _field(name, run[name])
    for event in events:
        if event["type"] not in _COMPARED:
            continue
        data = event["data"]
        name = (data.get("tool") or {}).get("name") or data.get("name") or ""
        yield f"{event['type']} {name}".rstrip()
        for field in _COMPARED[event["type"]]:
            if data.get(field) not in (None, ""):
                yield from (f"  {line}" for line in _field(field, data[field]))


def _field(name: str, value: Any) -> Iterator[str]:
    text = value if isinstance(value, str) else indented_json(value)
    first, *rest = text.split("\n")
    yield f"{name}: {first}"
    yield from (f"  {line}" for line in rest)
