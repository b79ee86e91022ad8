"""The operations on webhooks, and the verification of their signatures."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from runyard.client.core.effects import Call, Stream
from runyard.client.core.lists import before, pages
from runyard.client.core.requests import QueryValue, call_json, segment
from runyard.client.errors import WebhookRejected
from runyard.client.models import Delivery, Notification, Webhook

TOLERANCE_SECONDS = 300
_BASE = "/v1/webhooks"


def _path(webhook_id: str, rest: str = "") -> str:
    return f"{_BASE}/{segment(webhook_id)}{rest}"


def create(body: Mapping[str, Any]) -> Call[Webhook]:
    """Register an endpoint. Only the first response contains the secret, and no retry does."""
    answer = yield from call_json("POST", _BASE, body=body)
    return Webhook.parse(answer["data"])


def list_webhooks() -> Stream[Webhook]:
    """Yield all endpoints, oldest first."""
    return pages(_BASE, {}, Webhook.parse)


def get(webhook_id: str) -> Call[Webhook]:
    """Return the endpoint."""
    answer = yield from call_json("GET", _path(webhook_id))
    return Webhook.parse(answer["data"])


def update(webhook_id: str, body: Mapping[str, Any]) -> Call[Webhook]:
    """Change the endpoint."""
    answer = yield from call_json("PATCH", _path(webhook_id), body=body)
    return Webhook.parse(answer["data"])


def delete(webhook_id: str) -> Call[None]:
    """Delete the endpoint."""
    yield from call_json("DELETE", _path(webhook_id))


def rotate_secret(webhook_id: str, body: Mapping[str, Any]) -> Call[Webhook]:
    """Create a new secret, which only the first response contains."""
    answer = yield from call_json("POST", _path(webhook_id, "/rotate-secret"), body=body)
    return Webhook.parse(answer["data"])


def test(webhook_id: str) -> Call[Delivery]:
    """Send a `webhook.ping`."""
    answer = yield from call_json("POST", _path(webhook_id, "/test"))
    return Delivery.parse(answer["data"])


def list_deliveries(webhook_id: str, query: Mapping[str, QueryValue]) -> Stream[Delivery]:
    """Yield the deliveries of the last 30 days, newest first."""
    path = _path(webhook_id, "/deliveries")
    return before(path, query, Delivery.parse)


def get_delivery(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """Return a delivery with its payload and its attempts."""
    path = _path(webhook_id, f"/deliveries/{segment(delivery_id)}")
    answer = yield from call_json("GET", path)
    return Delivery.parse(answer["data"])


def redeliver(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """Send a delivery again under the same id."""
    path = _path(webhook_id, f"/deliveries/{segment(delivery_id)}/redeliver")
    answer = yield from call_json("POST", path)
    return Delivery.parse(answer["data"])


def verify(
    body: bytes | str,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Notification:
    """Return the notification of a received webhook, whose signature one of `secrets` has made.

    `body` is the body as received. The names of `headers` can have any case. Raise WebhookRejected
    if no signature fits, or if the request is `tolerance` seconds older or newer than `now`, by
    default the current time. The signatures are those of Standard Webhooks.
    """
    names = {name.lower(): value for name, value in headers.items()}
    delivery_id, sent_at = names.get("webhook-id", ""), names.get("webhook-timestamp", "")
    if not delivery_id or not sent_at.isascii() or not sent_at.isdigit():
        raise WebhookRejected("the headers webhook-id and webhook-timestamp are required")
    if abs((time.time() if now is None else now) - int(sent_at)) > tolerance:
        raise WebhookRejected(f"webhook-timestamp is more than {tolerance:g} seconds off")
    content = body.encode() if isinstance(body, str) else bytes(body)
    signed = b"%b.%b.%b" % (delivery_id.encode(), sent_at.encode(), content)
    received = _signatures(names.get("webhook-signature", ""))
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    # Every pair is compared, so the time does not depend on which one fits.
    fits = [
        hmac.compare_digest(hmac.digest(key, signed, hashlib.sha256), signature)
        for key in keys
        for signature in received
    ]
    if not any(fits):
        raise WebhookRejected("no signature in webhook-signature fits the body and the secrets")
    return Notification.parse({**json.loads(content), "id": delivery_id})


def _signatures(header: str) -> list[bytes]:
    """Return the signatures of version 1."""
    found = []
    for item in header.split():
        version, _, text = item.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a secret must be the text `whsec_…` from the create of the webhook")
    return key
