"""The messages of threads: one item each, at the place that its thread's record has counted.

A content is kept in one of three forms: short as `content`, from 512 bytes on through zlib
(`content_z`), over 100 KB in S3 (`content_key`).
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runyard_service.adapters.conflict_retry import ADD_MESSAGE_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import Item, TransactWriteItem, transact
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.dynamodb.threads import Threads
from runyard_service.adapters.json_fields import COMPRESS_FROM_BYTES, compress
from runyard_service.adapters.s3.payloads import MAX_INLINE_BYTES, Payloads
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import ThreadNotFoundError, UnavailableError
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Message, Role, Thread

# The attributes that hold a content, or say where it lies.
StoredContent = Mapping[str, str | bytes]


class Messages:
    """The message items of the records table; a very large content is kept by `payloads`."""

    def __init__(self, table: Table, payloads: Payloads, threads: Threads) -> None:
        self._table = table
        self._payloads = payloads
        self._threads = threads

    def add(self, thread_id: str, role: Role, content: str) -> Message:
        """Append a message. Raises ThreadNotFoundError where the thread is gone."""
        kept = self.save(thread_id, content)
        for attempt in retry_on_conflict(ADD_MESSAGE_ATTEMPTS):
            thread = self._threads.get(thread_id)
            if thread is None:
                raise ThreadNotFoundError
            message = _message(thread, role, content)
            changes = [self._create_change(message, kept), self._threads.message_change(thread)]
            with attempt:
                transact(self._table.client, changes)
                return message
        raise UnavailableError({"thread": "is being modified concurrently; retry"})

    def answer_changes(
        self, thread: Thread, run: Run, content: str, kept: StoredContent
    ) -> list[TransactWriteItem]:
        """The run's answer becomes the thread's next message, and the thread is free again.

        `kept` is what `keep` gave for the content.
        """
        message = _message(thread, "assistant", content, run.id)
        return [
            self._create_change(message, kept),
            self._threads.end_change(thread, run.id, answers=True),
        ]

    def read(self, thread_id: str, after: int, until: int) -> Iterator[Message]:
        """The messages behind place `after`, up to place `until`, oldest first."""
        if until <= after:
            return
        first, last = keys.message(thread_id, after + 1), keys.message(thread_id, until)
        values = {":pk": first["pk"], ":from": first["sk"], ":until": last["sk"]}
        for item in self._table.query("#pk = :pk AND #sk BETWEEN :from AND :until", values):
            yield self._from_item(item)

    def newest_seen(self, runs: Iterable[Run]) -> Mapping[str, Message]:
        """By run, the newest message that it saw; none of a run that is in no thread."""
        places = {
            run.id: keys.message(run.thread_id, run.thread_messages)
            for run in runs
            if run.thread_id is not None and run.thread_messages
        }
        unique = {(place["pk"], place["sk"]): place for place in places.values()}
        found = {
            (item["pk"], item["sk"]): self._from_item(item)
            for item in self._table.batch_get(list(unique.values()))
        }
        seen = {run_id: found.get((place["pk"], place["sk"])) for run_id, place in places.items()}
        return {run_id: message for run_id, message in seen.items() if message is not None}

    def save(self, thread_id: str, content: str) -> StoredContent:
        """The attributes that hold a message's content; a very large one goes to S3 by this.

        Once for a message, however often its write is tried.
        """
        text = content.encode()
        if len(text) < COMPRESS_FROM_BYTES:
            return {"content": content}
        if len(text) <= MAX_INLINE_BYTES:
            return {"content_z": compress(text)}
        return {"content_key": self._payloads.save(thread_id, content, owners="threads")}

    def _create_change(self, message: Message, kept: StoredContent) -> TransactWriteItem:
        item: dict[str, Any] = {
            **keys.message(message.thread_id, message.sequence),
            **message.model_dump(exclude={"content"}),
            **kept,
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
