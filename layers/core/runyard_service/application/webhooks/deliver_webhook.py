"""One attempt of a delivery: send a signed POST, and decide the next state by the response.

The record of the delivery decides; a queue message only triggers the attempt. A message that comes
too early is sent again for the time of the attempt. A late or duplicate message, or one of an
earlier round, has no effect. An attempt that is due later than a message can be delayed has no
message: the sweep sends it. After a crash (✗) between two actions:

    attempt made ✗ recorded           made again, with the same `webhook-id`
    recorded ✗ next message sent      the message comes back too early, and is sent again then
    next message sent ✗ deleted       the same; the attempt recorded first makes the other harmless
    dead-lettered ✗ recorded          one more attempt, and dead-lettered again
"""

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runyard_service.adapters.sqs import MAX_DELAY_SECONDS, DeliveryMessage, DeliveryQueue
from runyard_service.adapters.stores import Stores
from runyard_service.application.webhooks.webhook_urls import url_issue
from runyard_service.domain.clock import now, timestamp, timestamp_in
from runyard_service.domain.errors import RunyardError
from runyard_service.domain.webhooks import Attempt, Delivery, Secret, Webhook, signed_headers
from runyard_service.outbound.errors import OutboundError
from runyard_service.outbound.messages import OutgoingRequest, OutgoingResponse
from runyard_service.outbound.retry_after import retry_after_of
from runyard_service.outbound.safe_client import fetch

_log = logging.getLogger(__name__)

USER_AGENT = "Runyard-Webhooks/1"
GONE = 410
# The stored start of a response, for the owner of the endpoint to find an error.
EXCERPT_BYTES = 500
_JITTER = 0.1
# The longest Retry-After that is respected.
MAX_PAUSE_SECONDS = 12 * 3600


@dataclass(frozen=True)
class WebhookSender:
    """Dependencies of deliveries. `pauses` follow each failed attempt of a round, in seconds."""

    stores: Stores
    queue: DeliveryQueue
    timeout_seconds: float
    pauses: tuple[float, ...]
    private_hosts: tuple[str, ...] = ()


async def deliver_batch(sender: WebhookSender, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Make all attempts that are due concurrently; return the ids of the messages to retry.

    A slow endpoint delays no other endpoint. A message that raises an error becomes visible again
    after its timeout; after too many receives, SQS moves it to the dead-letter queue.
    """
    retried = await asyncio.gather(*(_must_be_retried(sender, record) for record in records))
    return [
        str(record["messageId"])
        for record, is_retried in zip(records, retried, strict=True)
        if is_retried
    ]


async def _must_be_retried(sender: WebhookSender, record: Mapping[str, Any]) -> bool:
    try:
        await deliver_webhook(sender, DeliveryMessage.from_text(record["body"]))
    except (RunyardError, ValueError, TypeError):  # The latter two: the body is not a message.
        _log.exception("delivery failed", extra={"message_id": record["messageId"]})
        return True
    return False


async def deliver_webhook(sender: WebhookSender, message: DeliveryMessage) -> None:
    """Make the attempt if it is due, and trigger the next one if the delivery is still pending."""
    deliveries, webhooks = sender.stores.webhook_deliveries, sender.stores.webhooks
    delivery = await asyncio.to_thread(deliveries.get, message.webhook_id, message.delivery_id)
    if delivery is None or delivery.state != "pending" or delivery.round != message.round:
        return
    if delivery.seconds_left() > 0:
        await asyncio.to_thread(_trigger, sender, delivery)
        return
    webhook = await asyncio.to_thread(webhooks.get, message.project_id, message.webhook_id)
    if webhook is None or not webhook.enabled:
        reason = "webhook_deleted" if webhook is None else "webhook_disabled"
        await asyncio.to_thread(deliveries.change, delivery, delivery.abandoned(reason))
        return
    if webhook.pause_left() > 0:
        # Not all at once after the pause.
        pause = webhook.pause_left() * random.uniform(1, 1 + _JITTER)
        changed = delivery.postponed(timestamp_in(pause))
        if await asyncio.to_thread(deliveries.change, delivery, changed):
            await asyncio.to_thread(_trigger, sender, changed)
        return
    secrets = await asyncio.to_thread(webhooks.secrets, webhook.id)
    attempt, retry_after = await _send(sender, webhook, secrets, delivery)
    changed = await asyncio.to_thread(_next_state, sender, webhook, delivery, attempt, retry_after)
    if not await asyncio.to_thread(deliveries.change, delivery, changed):
        return  # A duplicate of the message, or a redelivery, was first.
    _log.info(
        "webhook delivery attempted",
        extra={
            "project_id": webhook.project_id,
            "webhook_id": webhook.id,
            "delivery_id": delivery.id,
            "attempt": changed.attempt_count,
            "status_code": attempt.status_code,
            "error": attempt.error,
        },
    )
    if changed.state == "pending":
        await asyncio.to_thread(_trigger, sender, changed)


def _trigger(sender: WebhookSender, delivery: Delivery) -> None:
    """Send the message of the next attempt, unless the sweep has to send it."""
    if delivery.seconds_left() <= MAX_DELAY_SECONDS:
        sender.queue.send([delivery])


async def _send(
    sender: WebhookSender, webhook: Webhook, secrets: list[Secret], delivery: Delivery
) -> tuple[Attempt, float | None]:
    """Send the delivery. Return the attempt, and the seconds of the Retry-After header, if any."""
    at, started = now(), time.monotonic()
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        **signed_headers(delivery.id, delivery.body, secrets, at),
    }
    request = OutgoingRequest(
        "POST",
        webhook.url,
        headers,
        delivery.body.encode(),
        sender.timeout_seconds,
        EXCERPT_BYTES,
        # Only the registered and validated URL receives notifications.
        follow_redirects=False,
        truncate_response=True,
    )
    response: OutgoingResponse | None = None
    error: str | None = None
    try:
        if url_issue(webhook.url, sender.private_hosts):
            error = "address_refused"
        else:
            response = await fetch(request, sender.private_hosts)
    except OutboundError as failure:
        error = failure.code
    attempt = Attempt(
        at=timestamp(at),
        duration_ms=round((time.monotonic() - started) * 1000),
        status_code=response.status if response else None,
        response=(response.text or None) if response else None,
        error=error,
    )
    return attempt, retry_after_of(response.retry_after) if response else None


def _next_state(
    sender: WebhookSender,
    webhook: Webhook,
    delivery: Delivery,
    attempt: Attempt,
    retry_after: float | None,
) -> Delivery:
    """Return the delivery after this attempt; change the webhook or dead-letter if needed."""
    if attempt.status_code != GONE and (health := webhook.health_change(attempt, now())):
        if "disabled_reason" in health or "paused_until" in health:
            owner = {"project_id": webhook.project_id, "webhook_id": webhook.id}
            _log.warning("webhook health changed", extra={**owner, **health})
        sender.stores.webhooks.change(webhook, health)
    if attempt.succeeded:
        return delivery.with_attempt(attempt, "delivered")
    if attempt.status_code == GONE:
        gone = {"enabled": False, "disabled_reason": "gone"}
        sender.stores.webhooks.change(webhook, gone)
        return delivery.with_attempt(attempt, "failed", failure="endpoint_gone")
    if delivery.attempt_count >= len(sender.pauses):
        sender.queue.dead_letter(delivery)
        return delivery.with_attempt(attempt, "failed", failure="attempts_exhausted")
    pause = sender.pauses[delivery.attempt_count] * random.uniform(1 - _JITTER, 1 + _JITTER)
    pause = min(max(pause, retry_after or 0.0), MAX_PAUSE_SECONDS)
    return delivery.with_attempt(attempt, "pending", next_attempt_at=timestamp_in(pause))
