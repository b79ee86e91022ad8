"""A batch of the queue of deliveries, all at once: a slow endpoint holds up no other one's."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from runyard_service.adapters.sqs import DeliveryMessage
from runyard_service.application.webhooks.deliver_webhook import Courier, deliver_webhook
from runyard_service.domain.errors import RunyardError

_log = logging.getLogger(__name__)


async def deliver_webhooks(courier: Courier, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Make every attempt that is due; gives the ids of the messages that have to come again.

    A message that could not be handled comes again when its visibility ends; after too many of
    those the queue itself puts it aside.
    """
    is_kept = await asyncio.gather(*(_must_come_again(courier, record) for record in records))
    return [str(record["messageId"]) for record, kept in zip(records, is_kept, strict=True) if kept]


async def _must_come_again(courier: Courier, record: Mapping[str, Any]) -> bool:
    try:
        seconds = await deliver_webhook(courier, DeliveryMessage.from_text(record["body"]))
        if seconds is None:
            return False
        await asyncio.to_thread(courier.queue.postpone, record["receiptHandle"], seconds)
    except (RunyardError, ValueError, TypeError):  # The latter two: no message of ours.
        _log.exception("delivery failed", extra={"message_id": record["messageId"]})
    return True
