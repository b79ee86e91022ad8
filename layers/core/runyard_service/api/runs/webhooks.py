"""`/v1/webhooks`: the webhooks of a project, and their deliveries."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.auth import authenticate
from runyard_service.api.dependencies import ServicesDep, path_id
from runyard_service.api.http import JsonResponse, parse_body, unknown_names
from runyard_service.api.idempotency import claim_idempotency, store_response
from runyard_service.api.response_size import fitting_rows
from runyard_service.api.runs.paging import page_of
from runyard_service.api.runs.schemas import ChangeWebhook, CreateWebhook, RotateSecret
from runyard_service.api.runs.views import delivery_view, webhook_view
from runyard_service.api.services import Services
from runyard_service.application.webhooks.redeliver import redeliver, send_ping
from runyard_service.application.webhooks.webhook_urls import url_issue
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id, parse_id
from runyard_service.domain.request_errors import InvalidRequestError, NotFoundError
from runyard_service.domain.webhooks import Delivery, Secret, Webhook

router = APIRouter(prefix="/webhooks")

_StoredWebhook = TypeVar("_StoredWebhook", Webhook, Delivery)


async def _reader(request: Request, services: ServicesDep) -> AccessKey:
    return await authenticate(request, services, "webhooks:read")


async def _manager(request: Request, services: ServicesDep) -> AccessKey:
    return await authenticate(request, services, "webhooks:write")


Reader = Annotated[AccessKey, Depends(_reader)]
Manager = Annotated[AccessKey, Depends(_manager)]
WebhookId = Annotated[str, Depends(path_id("webhook_id"))]
DeliveryId = Annotated[str, Depends(path_id("delivery_id"))]


async def _readable(webhook_id: WebhookId, services: ServicesDep, key: Reader) -> Webhook:
    return await _find(services.stores.webhooks.get, key.project_id, webhook_id)


async def _changeable(webhook_id: WebhookId, services: ServicesDep, key: Manager) -> Webhook:
    return await _find(services.stores.webhooks.get, key.project_id, webhook_id)


Readable = Annotated[Webhook, Depends(_readable)]
Changeable = Annotated[Webhook, Depends(_changeable)]


async def _delivery_of(services: Services, webhook: Webhook, delivery_id: str) -> Delivery:
    return await _find(services.stores.webhook_deliveries.get, webhook.id, delivery_id)


async def _find(
    get: Callable[[str, str], _StoredWebhook | None], owner_id: str, record_id: str
) -> _StoredWebhook:
    """Return the record with this id. Raise NotFoundError."""
    record = await run_in_threadpool(get, owner_id, record_id) if record_id else None
    if record is None:
        raise NotFoundError
    return record


@router.post("")
async def create_webhook(request: Request, services: ServicesDep, key: Manager) -> Response:
    """Create a webhook. Only the first response contains its secret, and no retry does."""
    body = await parse_body(request, CreateWebhook)
    _check_url(services, body.url)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    at = timestamp()
    webhook = Webhook(
        id=claim.id or new_id(),
        org_id=key.org_id,
        project_id=key.project_id,
        created_at=at,
        updated_at=at,
        **body.model_dump(),
    )
    webhook, secret = await run_in_threadpool(
        services.stores.webhooks.create, webhook, claim.creation
    )
    view = _view_with(webhook, secret)
    location = {"Location": f"/v1/webhooks/{webhook.id}"}
    response = JsonResponse({"data": view}, HTTPStatus.CREATED, headers=location)
    return claim.created_response(response)


def _view_with(webhook: Webhook, secret: Secret | None) -> dict[str, Any]:
    view = webhook_view(webhook)
    return view if secret is None else {**view, "secret": secret.text}


def _check_url(services: Services, url: str) -> None:
    if issue := url_issue(url, services.settings.webhook_allowed_private_hosts):
        raise InvalidRequestError({"url": issue})


@router.get("")
async def list_webhooks(request: Request, services: ServicesDep, key: Reader) -> Response:
    """Return a page of the webhooks of the project, oldest first."""
    query = request.query_params
    issues = unknown_names(query, {"page", "page_size"})
    page = page_of(query, ("created_at",), "created_at", known_issues=issues)
    webhooks = await run_in_threadpool(services.stores.webhooks.of_project, key.project_id)
    first, last = page.bounds(len(webhooks))
    data = [webhook_view(webhook) for webhook in webhooks[first - 1 : max(last, first - 1)]]
    return JsonResponse({"data": data, "pagination": page.pagination(len(webhooks))})


@router.get("/{webhook_id}")
async def get_webhook(webhook: Readable) -> Response:
    """Return the webhook."""
    return JsonResponse({"data": webhook_view(webhook)})


@router.patch("/{webhook_id}")
async def change_webhook(request: Request, services: ServicesDep, webhook: Changeable) -> Response:
    """Change the fields in the body. Pending deliveries go to the new URL."""
    body = await parse_body(request, ChangeWebhook)
    fields = body.model_dump(exclude_unset=True)
    if "url" in fields:
        _check_url(services, fields["url"])
    if fields.keys() & {"enabled", "url"}:
        fields |= {"disabled_reason": None, "failing_since": None, "paused_until": None}
    changed = await run_in_threadpool(services.stores.webhooks.change, webhook, fields)
    return JsonResponse({"data": webhook_view(changed)})


@router.delete("/{webhook_id}")
async def delete_webhook(services: ServicesDep, webhook: Changeable) -> Response:
    """Delete the webhook. Its pending deliveries are not sent."""
    await run_in_threadpool(services.stores.webhooks.delete, webhook)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/{webhook_id}/rotate-secret")
async def rotate_secret(
    request: Request, services: ServicesDep, key: Manager, webhook: Changeable
) -> Response:
    """Create a new secret. During the overlap, the old secrets also sign deliveries.

    Only the first response contains the secret. The stored response for retries does not.
    """
    body = await parse_body(request, RotateSecret, optional=True)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    if (stored := claim.stored_response) is not None:
        return stored
    secret = await run_in_threadpool(
        services.stores.webhooks.rotate,
        webhook,
        claim.id or new_id(),
        body.overlap_hours * 3600,
    )
    stored = await store_response(claim, JsonResponse({"data": webhook_view(webhook)}))
    if secret is None:
        return stored
    return claim.created_response(JsonResponse({"data": _view_with(webhook, secret)}))


@router.post("/{webhook_id}/test")
async def send_test(
    request: Request, services: ServicesDep, key: Manager, webhook: Changeable
) -> Response:
    """Send a `webhook.ping`, regardless of the event filter, and return its delivery."""

    def send() -> Delivery:
        return send_ping(services.stores, services.delivery_queue, webhook)

    return await _delivery_response(request, services, key, send)


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(request: Request, services: ServicesDep, webhook: Readable) -> Response:
    """Return a page of the deliveries of the last 30 days, newest first.

    There may be millions of deliveries, so the response has a cursor and no total count.
    """
    query = request.query_params
    issues = unknown_names(query, {"page_size", "before"})
    before = parse_id(query.get("before", ""))
    if query.get("before") and before is None:
        issues["before"] = "must be a UUID"
    page = page_of(query, ("created_at",), "-created_at", known_issues=issues)
    deliveries = await run_in_threadpool(
        services.stores.webhook_deliveries.newest,
        webhook.id,
        before,
        page.size + 1,
    )
    pagination: dict[str, Any] = {"page_size": page.size}
    rows = fitting_rows(map(delivery_view, deliveries[: page.size]))
    if len(deliveries) > len(rows):
        pagination["next_before"] = rows[-1]["id"]
    return JsonResponse({"data": rows, "pagination": pagination})


@router.get("/{webhook_id}/deliveries/{delivery_id}")
async def get_delivery(
    services: ServicesDep, webhook: Readable, delivery_id: DeliveryId
) -> Response:
    """Return a delivery with its attempts and the sent body."""
    delivery = await _delivery_of(services, webhook, delivery_id)
    return JsonResponse({"data": delivery_view(delivery, whole=True)})


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver")
async def redeliver_it(
    request: Request,
    services: ServicesDep,
    key: Manager,
    webhook: Changeable,
    delivery_id: DeliveryId,
) -> Response:
    """Send the same body and `webhook-id` again, with a full set of attempts."""
    delivery = await _delivery_of(services, webhook, delivery_id)

    def send() -> Delivery:
        return redeliver(services.stores, services.delivery_queue, webhook, delivery)

    return await _delivery_response(request, services, key, send)


async def _delivery_response(
    request: Request, services: Services, key: AccessKey, send: Callable[[], Delivery]
) -> Response:
    claim = await claim_idempotency(request, services, key, {})
    if (stored := claim.stored_response) is not None:
        return stored
    sent = await run_in_threadpool(send)
    response = JsonResponse({"data": delivery_view(sent)}, HTTPStatus.ACCEPTED)
    return await store_response(claim, response)
