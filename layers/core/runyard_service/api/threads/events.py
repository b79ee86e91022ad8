"""`/v1/runs/{run_id}/events`: the log of a run as Server-Sent Events of the Threads API."""

from functools import partial

from fastapi import APIRouter, Request, Response

from runyard_service.api.auth import load_run, run_to_stream
from runyard_service.api.dependencies import RunId, ServicesDep
from runyard_service.api.http import JsonResponse
from runyard_service.api.sse import NumberedLines, SseFormat
from runyard_service.api.streaming import StreamRoute, resume_stream, ticket_view
from runyard_service.api.threads.dependencies import ReadKey
from runyard_service.api.threads.event_views import event_view
from runyard_service.api.threads.root_paths import BASE_PATH
from runyard_service.domain.events import decode_event, to_json
from runyard_service.domain.runs import Run

router = APIRouter()

STREAM = StreamRoute(
    f"{BASE_PATH}/v1/runs/{{run_id}}/events",
    cursor="after_seq",
    flags=frozenset({"follow", "deltas"}),
)


@router.get("/runs/{run_id}/events")
async def stream_events(run_id: RunId, request: Request, services: ServicesDep) -> Response:
    """Stream the events after the cursor, live unless `follow` is false."""
    run = await run_to_stream(request, services, run_id, needs_project=False)
    shape = SseFormat(partial(_frames, run=run), b": ping\n")
    return await resume_stream(request, services, run, STREAM, shape)


def _frames(lines: NumberedLines, run: Run) -> bytes:
    """Return frames without `event:` lines: the `onmessage` of a browser then gets all events."""
    return b"".join(
        b"id: %d\ndata: %b\n\n" % (sequence, to_json(event_view(decode_event(line), run)))
        for sequence, line in lines
    )


@router.post("/runs/{run_id}/ticket")
async def create_ticket(
    run_id: RunId, request: Request, services: ServicesDep, key: ReadKey
) -> Response:
    """Return a stream ticket, for clients that cannot send headers."""
    run = await load_run(services, key, run_id)
    return JsonResponse(await ticket_view(request, services, run.id, STREAM), 201)
