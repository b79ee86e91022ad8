"""The messages of threads: an item for each message, numbered by the record of its thread.

The content has one of three forms: `content` up to 511 bytes, `content_z` (zlib) from 512 bytes,
`content_key` (a key in S3) above 100 KB.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runyard_service.adapters.conflict_retry import ADD_MESSAGE_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Item,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.idempotency import Creation
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.dynamodb.threads import Threads
from runyard_service.adapters.json_fields import COMPRESS_FROM_BYTES, compress
from runyard_service.adapters.s3.payloads import MAX_INLINE_BYTES, Payloads
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.request_errors import ThreadNotFoundError, UnavailableError
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Message, Role, Thread

# The attributes that contain the content, or its key in S3.
StoredContent = Mapping[str, str | bytes]


class Messages:
    """The message items of the records table; `payloads` stores very large contents."""

    def __init__(self, table: Table, payloads: Payloads, threads: Threads) -> None:
        self._table = table
        self._payloads = payloads
        self._threads = threads

    def add(
        self, thread_id: str, role: Role, content: str, creation: Creation | None = None
    ) -> Message:
        """Append a message, or return the message that `creation` appended before.

        Raises ThreadNotFoundError if the thread does not exist.
        """
        stored: StoredContent | None = None
        for attempt in retry_on_conflict(ADD_MESSAGE_ATTEMPTS, ConditionFailedError):
            thread = self._threads.get(thread_id)
            if thread is None:
                raise ThreadNotFoundError
            # After a conflict, a retry with the same key may have created the message.
            if creation and (creation.is_retry or stored is not None):
                number = creation.created_sequence()
                if number is not None:
                    return next(self.read(thread_id, number - 1, number))
            stored = stored or self.save(thread_id, content)
            message = _message(thread, role, content)
            changes = [self._create_change(message, stored), self._threads.message_change(thread)]
            if creation is not None:
                changes.append(creation.change(message.sequence))
            with attempt:
                transact(self._table.client, changes)
                return message
        raise UnavailableError({"thread": "is being modified concurrently; retry"})

    def answer_changes(
        self, thread: Thread, run: Run, content: str, stored: StoredContent
    ) -> list[TransactWriteItem]:
        """Return the changes that append the run's output as a message and end the active run.

        `stored` is the result of `save` for the content.
        """
        message = _message(thread, "assistant", content, run.id)
        return [
            self._create_change(message, stored),
            self._threads.end_change(thread, run.id, answers=True),
        ]

    def read(self, thread_id: str, after: int, until: int) -> Iterator[Message]:
        """Yield the messages after sequence `after`, up to sequence `until`, oldest first."""
        if until <= after:
            return
        first, last = keys.message(thread_id, after + 1), keys.message(thread_id, until)
        values = {":pk": first["pk"], ":from": first["sk"], ":until": last["sk"]}
        for item in self._table.query("#pk = :pk AND #sk BETWEEN :from AND :until", values):
            yield self._from_item(item)

    def newest_seen(self, runs: Iterable[Run]) -> Mapping[str, Message]:
        """Return the newest message that each run saw, by run id.

        Runs without a thread are absent.
        """
        message_keys = {
            run.id: keys.message(run.thread_id, run.thread_messages)
            for run in runs
            if run.thread_id is not None and run.thread_messages
        }
        unique = {(key["pk"], key["sk"]): key for key in message_keys.values()}
        messages = {
            (item["pk"], item["sk"]): self._from_item(item)
            for item in self._table.batch_get(list(unique.values()))
        }
        newest = {
            run_id: messages.get((key["pk"], key["sk"])) for run_id, key in message_keys.items()
        }
        return {run_id: message for run_id, message in newest.items() if message is not None}

    def save(self, thread_id: str, content: str) -> StoredContent:
        """Return the attributes of a message's content; store a very large content in S3.

        Call it once for a message, before the attempts to write the message.
        """
        text = content.encode()
        if len(text) < COMPRESS_FROM_BYTES:
            return {"content": content}
        if len(text) <= MAX_INLINE_BYTES:
            return {"content_z": compress(text)}
        return {"content_key": self._payloads.save(thread_id, content, owners="threads")}

    def _create_change(self, message: Message, stored: StoredContent) -> TransactWriteItem:
        item: dict[str, Any] = {
            **keys.message(message.thread_id, message.sequence),
            **message.model_dump(exclude={"content"}),
            **stored,
        }
        return self._table.put_change(item, if_absent=True)

    def _from_item(self, item: Item) -> Message:
        if "content_z" in item:
            item = {**item, "content": zlib.decompress(bytes(item["content_z"])).decode()}
        elif "content_key" in item:
            item = {**item, "content": self._payloads.fetch(item["content_key"])}
        return Message.model_validate(item)


def _message(thread: Thread, role: Role, content: str, run_id: str | None = None) -> Message:
    return Message(
        id=new_id(),
        thread_id=thread.id,
        sequence=thread.messages + 1,
        role=role,
        content=content,
        created_at=timestamp(),
        run_id=run_id,
    )
