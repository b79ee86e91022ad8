"""Publish the events again that Lambda no longer retries, on request of an operator."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runyard_service.adapters.failed_batches import FailedBatch, RecordsExpiredError
from runyard_service.adapters.sqs import DeadLetterQueue
from runyard_service.application.webhooks.publish_events import Publisher, publish_events
from runyard_service.domain.errors import RunyardError

_log = logging.getLogger(__name__)

ReadRecords = Callable[[FailedBatch], Sequence[Mapping[str, Any]]]


def list_failed_batches(queue: DeadLetterQueue) -> list[FailedBatch]:
    """Return the batches of the dead-letter queue, oldest first."""
    batches = [FailedBatch.from_text(text) for text, _ in queue.messages()]
    return sorted(batches, key=lambda batch: batch.first_arrived_at)


def redrive_events(
    publisher: Publisher, queue: DeadLetterQueue, read: ReadRecords, *, delete_expired: bool = False
) -> Iterator[tuple[FailedBatch, str]]:
    """Publish each batch of the dead-letter queue again; yield it and what happened.

    Delete the message if all events are published. With `delete_expired`, also delete it if the
    stream does not have the records any more.
    """
    for text, receipt in queue.messages():
        batch = FailedBatch.from_text(text)
        problem = _publish(publisher, batch, read)
        is_expired = isinstance(problem, RecordsExpiredError)
        if problem is None or (is_expired and delete_expired):
            queue.delete(receipt)
        if problem is None:
            yield batch, "is published again"
        elif is_expired:
            yield batch, f"{'is deleted' if delete_expired else 'stays in the queue'}: {problem}"
        else:
            yield batch, f"stays in the queue: {type(problem).__name__}: {problem}"


def _publish(publisher: Publisher, batch: FailedBatch, read: ReadRecords) -> Exception | None:
    """Publish the events of the batch; return the error that prevented it."""
    try:
        failed = publish_events(publisher, read(batch))
    except RecordsExpiredError as error:
        return error
    except Exception as error:  # noqa: BLE001 — a bug stops only the batch that shows it.
        _log.exception("publishing events failed", extra={"stream_record": batch.first})
        return error
    return RunyardError(f"record {failed} was not published") if failed else None
