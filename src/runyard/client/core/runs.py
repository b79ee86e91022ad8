"""The operations on runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from runyard.client.core.bodies import FileSource
from runyard.client.core.effects import Call, Failure, Item, Read, Stream
from runyard.client.core.follow import SILENCE_SECONDS, Cursor, follow
from runyard.client.core.lists import pages
from runyard.client.core.requests import (
    QueryValue,
    call_json,
    exchange,
    make_request,
    segment,
    set_fields,
)
from runyard.client.core.uploads import upload
from runyard.client.errors import ConnectionLost, RunCanceled, RunFailed, RunWaits
from runyard.client.models import InputRequest, Run
from runyard.events import Event, RunPaused, parse_event


@dataclass(frozen=True)
class NewRun:
    """What a run starts with. Without `idempotency_key` the client makes a key."""

    input: Mapping[str, Any]
    agent: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    files: Sequence[FileSource] = ()
    file_ids: Sequence[str] = ()
    idempotency_key: str | None = None


def path_of(run_id: str, rest: str = "") -> str:
    """Return the path of a run."""
    return f"/v1/runs/{segment(run_id)}{rest}"


def start(new: NewRun) -> Call[Run]:
    """Start a run in the background; return it at once."""
    return (yield from _create(new, background=True))


def start_id(new: NewRun) -> Call[str]:
    """Start a run in the background; return its id at once."""
    run = yield from start(new)
    return run.id


def create(new: NewRun, timeout: float | None) -> Call[Run]:
    """Start a run; return it when it has ended, or when it waits for a person. Raise Timeout.

    The service answers 202 if the run takes longer than its endpoint can wait.
    """
    deadline = deadline_of(timeout)
    run = yield from _create(new, background=timeout is not None)
    return run if is_stable(run) else (yield from wait_until_stable(run.id, deadline))


def _create(new: NewRun, *, background: bool) -> Call[Run]:
    uploaded = []
    for source in new.files:
        file = yield from upload(source)
        uploaded.append(file.id)
    body = set_fields(
        input=new.input,
        agent=new.agent,
        user_id=new.user_id,
        session_id=new.session_id,
        file_ids=[*new.file_ids, *uploaded] or None,
        background=background or None,
    )
    key = new.idempotency_key
    answer = yield from call_json("POST", "/v1/runs", body=body, idempotency_key=key)
    return Run.parse(answer["data"])


def get(run_id: str) -> Call[Run]:
    """Return the run."""
    answer = yield from call_json("GET", path_of(run_id))
    return Run.parse(answer["data"])


def wait_until_stable(run_id: str, deadline: float | None) -> Call[Run]:
    """Return the run when it has ended, or when it waits for a person. Raise Timeout."""
    run = yield from get(run_id)
    if is_stable(run):
        return run
    events = follow(Cursor(run_id, has_deltas=False), deadline)
    result: Any = None
    while True:
        try:
            effect = events.send(result)
        except StopIteration:
            return (yield from get(run_id))
        if not isinstance(effect, Item):
            result = yield effect
            continue
        result = None
        if isinstance(effect.value, RunPaused) and effect.value.reason is None:
            run = yield from get(run_id)
            if is_stable(run):
                return run


def is_stable(run: Run) -> bool:
    """Return whether the run has ended or waits for a person."""
    return run.has_ended or run.status == "awaiting_input"


def result(run_id: str, timeout: float | None) -> Call[Mapping[str, Any]]:
    """Return the output of the run when it has one.

    Raise RunFailed, RunCanceled or RunWaits if it will have none, and Timeout.
    """
    run = yield from wait_until_stable(run_id, deadline_of(timeout))
    if run.status == "failed":
        raise RunFailed(run)
    if run.status == "canceled":
        raise RunCanceled(run)
    if run.status == "awaiting_input":
        raise RunWaits(run)
    return run.output or {}


def deadline_of(timeout: float | None) -> float | None:
    """Return the time of the monotonic clock in this number of seconds."""
    return None if timeout is None else monotonic() + timeout


def list_query(**filters: QueryValue) -> dict[str, QueryValue]:
    """Return the filters that are set as a query."""
    return set_fields(**filters)


def list_runs(query: Mapping[str, QueryValue]) -> Stream[Run]:
    """Yield the runs of all pages."""
    return pages("/v1/runs", query, Run.parse)


def list_events(run_id: str, after: int, *, has_deltas: bool) -> Stream[Event]:
    """Yield the events that the log has now, after a sequence."""
    query: dict[str, QueryValue] = {"after_sequence": after} if after else {}
    if not has_deltas:
        query["deltas"] = False
    return pages(path_of(run_id, "/events"), query, lambda raw: parse_event(raw, run_id))


def list_input_requests(query: Mapping[str, QueryValue]) -> Stream[InputRequest]:
    """Yield the open input requests of all pages, oldest first."""
    return pages("/v1/input-requests", query, InputRequest.parse)


def send_input(run_id: str, type_: str, data: Mapping[str, Any]) -> Call[None]:
    """Answer an input request. The same answer twice has no second effect."""
    yield from call_json("POST", path_of(run_id, "/input"), body={"type": type_, "data": data})


def answer(run_id: str, type_: str, request_id: str | None, data: Mapping[str, Any]) -> Call[None]:
    """Answer the input request, or the only open one of this type. Raise ValueError."""
    if request_id is None:
        run = yield from get(run_id)
        request_id = only_request(run, type_)
    yield from send_input(run_id, type_, {"request_id": request_id, **data})


def only_request(run: Run, type_: str) -> str:
    """Return the id of the run's only open request of this type. Raise ValueError."""
    found = [request.id for request in run.input_requests if request.type == type_]
    if len(found) == 1:
        return found[0]
    open_requests = ", ".join(f"{each.id} ({each.type})" for each in run.input_requests)
    raise ValueError(
        f"run {run.id} is {run.status} and has {len(found)} open requests of type {type_};"
        f" name one with request_id. Open: {open_requests or 'none'}"
    )


def approval(
    is_approved: bool, feedback: str | None, params: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the data of the answer to an approval request."""
    return {"is_approved": is_approved, **set_fields(feedback=feedback, params=params)}


def cancel(run_id: str) -> Call[None]:
    """Cancel the run. An ended run is not changed."""
    yield from call_json("POST", path_of(run_id, "/cancel"))


def delete(run_id: str) -> Call[None]:
    """Delete an ended run permanently."""
    yield from call_json("DELETE", path_of(run_id))


def export(run_id: str) -> Stream[bytes]:
    """Yield the lines of the run's export. Raise ConnectionLost if it ends before its last line."""
    request = make_request("GET", path_of(run_id, "/export"), read_seconds=SILENCE_SECONDS)
    yield from exchange(request, opens=True)
    rest, last = b"", b""
    while True:
        chunk: bytes | Failure | None = yield Read()
        if chunk is None or isinstance(chunk, Failure):
            break
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            last = line
            yield Item(line)
    if rest or json.loads(last or b"{}").get("kind") != "end":
        raise ConnectionLost("the export ended before its last line; export the run again")
