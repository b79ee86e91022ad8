"""`GET /v1/runs/{run_id}/export`: everything that is kept of a run, as lines of JSON.

`{"kind": …, "data": …}`: the run, the messages that it saw in a thread, its events with large
payloads put back, its questions with their answers, its files without their bytes; and at the end
how many events there were, so that a reader knows that nothing was cut off. Read and sent batch by
batch, so its size does not matter to this process.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pydantic_core
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.stores import Stores
from runyard_service.api.auth import run_to_export, ticket_of
from runyard_service.api.dependencies import RunId, ServicesDep
from runyard_service.api.runs.views import request_view, run_view
from runyard_service.api.streaming import redirect_to_stream
from runyard_service.domain.errors import NotFoundError
from runyard_service.domain.runs import Run

router = APIRouter()

MEDIA_TYPE = "application/x-ndjson"


@router.get("/runs/{run_id}/export")
async def export_run(run_id: RunId, request: Request, services: ServicesDep) -> Response:
    """The run, whole; behind a door that holds bodies back, `303` to the other door."""
    run = await run_to_export(request, services, run_id)
    if services.settings.stream_url:
        path = f"/v1/runs/{run.id}/export"
        return await redirect_to_stream(services, run.id, path, "export", ticket_of(request))
    shown = await run_in_threadpool(services.stores.runs.get, run.id)
    if shown is None:  # It was just deleted.
        raise NotFoundError
    headers = {"Content-Disposition": f'attachment; filename="run-{run.id}.jsonl"'}
    chunks = _chunks(services.stores, shown)
    return StreamingResponse(chunks, media_type=MEDIA_TYPE, headers=headers)


def _chunks(stores: Stores, run: Run) -> Iterator[bytes]:
    """One chunk for each batch of the log, and one for each of the rest."""
    yield _line("run", run_view(run) | _more_of_the_run(run))
    if run.thread_id is not None:
        for message in stores.messages.read(run.thread_id, 0, run.thread_messages):
            yield _line("message", message.model_dump(exclude_none=True))
    events = 0
    for batch in stores.log.read(run.id):
        events += len(batch.lines)
        # The lines are stored as they go on the wire.
        yield b"".join(b'{"kind":"event","data":%b}\n' % line for line in batch.lines)
    for request in stores.input_requests.of_run(run.id):
        settled = {"state": request.state, "answer": request.answer}
        yield _line("input_request", request_view(request) | settled)
    for file_id in run.file_ids:
        if (file := stores.files.find(run.project_id, file_id)) is not None:
            yield _line("file", file.model_dump(include={"id", "name", "size", "mime_type"}))
    yield _line("end", {"events": events})


def _more_of_the_run(run: Run) -> dict[str, Any]:
    more = run.model_dump(
        mode="json", include={"agent", "model", "thread_id", "trace_id", "created_by"}
    )
    return {name: value for name, value in more.items() if value}


def _line(kind: str, data: Mapping[str, Any]) -> bytes:
    return pydantic_core.to_json({"kind": kind, "data": data}) + b"\n"
