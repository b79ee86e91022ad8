"""`GET /v1/input-requests`: the open input requests of a project."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.api.dependencies import ReadKey, ServicesDep
from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.api.response_size import RowSizes
from runyard_service.api.runs.paging import Page, page_of
from runyard_service.api.runs.views import request_view
from runyard_service.api.services import Services

router = APIRouter()


@router.get("/input-requests")
async def list_input_requests(request: Request, services: ServicesDep, key: ReadKey) -> Response:
    """Return a page of the open input requests of the project, oldest first."""
    query = request.query_params
    issues = unknown_names(query, {"page", "page_size"})
    page = page_of(query, ("created_at",), "created_at", known_issues=issues)
    return JsonResponse(await run_in_threadpool(_read_page, services, key.project_id, page))


def _read_page(services: Services, project_id: str, page: Page) -> dict[str, Any]:
    requests = services.stores.input_requests
    total = requests.count_open(project_id)
    first, last = page.bounds(total)
    data = RowSizes(services).checked(
        {"run_id": request.run_id, **request_view(request)}
        for request in requests.open_of_project(project_id, first, last)
    )
    return {"data": data, "pagination": page.pagination(total)}
