"""Every request about webhooks, made of a door."""

from typing import TYPE_CHECKING

from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.notifications import ping
from runyard_service.domain.webhooks import Delivery, Webhook

if TYPE_CHECKING:
    from tests.permissions.api_requests import Walk

_PATH = "/v1/webhooks"
# Nobody is asked for this name: what delivers is no door.
_URL = "https://receiver.example/"


def ask_webhooks(walk: "Walk") -> None:
    """Read one with its deliveries; change it as well, where the door takes that."""
    webhook, delivery = _asked(walk) if walk.answers else _made(walk)
    for path in ("", f"/{webhook}", f"/{webhook}/deliveries", f"/{webhook}/deliveries/{delivery}"):
        walk.ask("GET", _PATH + path)
    if walk.answers:
        walk.ask("POST", f"{_PATH}/{webhook}/deliveries/{delivery}/redeliver")
        walk.ask("POST", f"{_PATH}/{webhook}/rotate-secret")
        walk.ask("PATCH", f"{_PATH}/{webhook}", json={"description": "d"})
        walk.ask("DELETE", f"{_PATH}/{webhook}")


def webhook_of(org_id: str, project_id: str, url: str) -> Webhook:
    """A new endpoint of the project."""
    at = timestamp()
    return Webhook(
        id=new_id(), org_id=org_id, project_id=project_id, url=url, created_at=at, updated_at=at
    )


def _asked(walk: "Walk") -> tuple[str, str]:
    headers = {"Idempotency-Key": f"webhook-{walk.door}"}
    walk.ask("POST", _PATH, json={"url": _URL}, headers=headers)
    made = walk.ask("POST", _PATH, json={"url": _URL}, headers=headers)
    webhook = str(made["data"]["id"])
    return webhook, str(walk.ask("POST", f"{_PATH}/{webhook}/test")["data"]["id"])


def _made(walk: "Walk") -> tuple[str, str]:
    """An endpoint and a delivery that came to be elsewhere."""
    stores = walk.world.stores
    webhook, _ = stores.webhooks.create(webhook_of(walk.door, walk.door, _URL))
    notice = ping(walk.door, walk.door, webhook.id)
    return webhook.id, stores.webhook_deliveries.create_if_absent(
        Delivery.create(notice, webhook)
    ).id
