"""Every webhook request of an endpoint."""

from typing import TYPE_CHECKING

from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.notifications import ping
from runyard_service.domain.webhooks import Delivery, Webhook

if TYPE_CHECKING:
    from tests.permissions.api_requests import Walk

_PATH = "/v1/webhooks"
# No endpoint resolves this name, because no endpoint sends deliveries.
_URL = "https://receiver.example/"


def call_webhooks(walk: "Walk") -> None:
    """Read a webhook and its deliveries; also change it if the endpoint serves that."""
    webhook, delivery = _create_over_http(walk) if walk.is_full_api else _create_in_stores(walk)
    for path in ("", f"/{webhook}", f"/{webhook}/deliveries", f"/{webhook}/deliveries/{delivery}"):
        walk.call("GET", _PATH + path)
    if walk.is_full_api:
        walk.call("POST", f"{_PATH}/{webhook}/deliveries/{delivery}/redeliver")
        walk.call("POST", f"{_PATH}/{webhook}/rotate-secret")
        walk.call("PATCH", f"{_PATH}/{webhook}", json={"description": "d"})
        walk.call("DELETE", f"{_PATH}/{webhook}")


def webhook_of(org_id: str, project_id: str, url: str) -> Webhook:
    """Return a new webhook of the project."""
    at = timestamp()
    return Webhook(
        id=new_id(), org_id=org_id, project_id=project_id, url=url, created_at=at, updated_at=at
    )


def _create_over_http(walk: "Walk") -> tuple[str, str]:
    headers = {"Idempotency-Key": f"webhook-{walk.endpoint}"}
    walk.call("POST", _PATH, json={"url": _URL}, headers=headers)
    created = walk.call("POST", _PATH, json={"url": _URL}, headers=headers)
    webhook = str(created["data"]["id"])
    return webhook, str(walk.call("POST", f"{_PATH}/{webhook}/test")["data"]["id"])


def _create_in_stores(walk: "Walk") -> tuple[str, str]:
    """Create a webhook and a delivery in the stores; return their ids."""
    stores = walk.harness.stores
    webhook, _ = stores.webhooks.create(webhook_of(walk.endpoint, walk.endpoint, _URL))
    notification = ping(walk.endpoint, walk.endpoint, webhook.id)
    return webhook.id, stores.webhook_deliveries.create_if_absent(
        Delivery.create(notification, webhook)
    ).id
