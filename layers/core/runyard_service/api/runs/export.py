"""`GET /v1/runs/{run_id}/export`: all stored data of a run, as JSON lines.

Each line is `{"kind": …, "data": …}`: the run, the thread messages that it read, its events with
large payloads inlined, its input requests with their answers, and its files without their bytes.
The last line has the number of events: an export without it is truncated. The export is read and
sent in batches, so its size does not affect the memory of this process.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.stores import Stores
from runyard_service.api.auth import run_to_export, ticket_of
from runyard_service.api.dependencies import RunId, ServicesDep
from runyard_service.api.runs.views import request_view, run_view
from runyard_service.api.streaming import redirect_to_stream
from runyard_service.domain.events import to_json
from runyard_service.domain.request_errors import NotFoundError
from runyard_service.domain.runs import Run

router = APIRouter()

MEDIA_TYPE = "application/x-ndjson"


@router.get("/runs/{run_id}/export")
async def export_run(run_id: RunId, request: Request, services: ServicesDep) -> Response:
    """Return the export, or redirect with 303 if this endpoint buffers bodies."""
    run = await run_to_export(request, services, run_id)
    if services.settings.stream_url:
        path = f"/v1/runs/{run.id}/export"
        return await redirect_to_stream(services, run.id, path, "export", ticket_of(request))
    exported = await run_in_threadpool(services.stores.runs.get, run.id)
    if exported is None:  # It was just deleted.
        raise NotFoundError
    headers = {"Content-Disposition": f'attachment; filename="run-{run.id}.jsonl"'}
    chunks = _chunks(services.stores, exported)
    return StreamingResponse(chunks, media_type=MEDIA_TYPE, headers=headers)


def _chunks(stores: Stores, run: Run) -> Iterator[bytes]:
    """Yield a chunk per batch of the log, and a chunk per other item."""
    yield _line("run", run_view(run) | {"trace_id": run.trace_id})
    if run.thread_id is not None:
        for message in stores.messages.read(run.thread_id, 0, run.thread_messages):
            yield _line("message", message.model_dump(exclude_none=True))
    events = 0
    for batch in stores.log.read(run.id):
        events += len(batch.lines)
        # Lines are stored in their wire format.
        yield b"".join(b'{"kind":"event","data":%b}\n' % line for line in batch.lines)
    for request in stores.input_requests.of_run(run.id):
        resolution = {"state": request.state, "answer": request.answer}
        yield _line("input_request", request_view(request) | resolution)
    for file_id in run.file_ids:
        if (file := stores.files.find(run.project_id, file_id)) is not None:
            yield _line("file", file.model_dump(include={"id", "name", "size", "mime_type"}))
    yield _line("end", {"events": events})


def _line(kind: str, data: Mapping[str, Any]) -> bytes:
    return to_json({"kind": kind, "data": data}) + b"\n"
