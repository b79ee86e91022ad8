"""The records of threads, and the list of runs of each thread.

A thread's record counts its messages and names its active run. Every change of a thread is
conditional on the count that its writer has read. So message numbers have no gaps, and a run sees
exactly the messages that existed when it was created.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import islice

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Item,
    Key,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.idempotency import Creation, deleted_error
from runyard_service.adapters.dynamodb.run_index.index_reader import newest_first
from runyard_service.adapters.dynamodb.run_index.run_list_plan import IndexPartition
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.run_deletion import TOMBSTONE_SECONDS, DeletedRun
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.domain.clock import timestamp
from runyard_service.domain.request_errors import ThreadBusyError, ThreadNotFoundError
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Thread

_BATCH_THREADS = 100


class Threads:
    """The thread items of the records table."""

    def __init__(self, table: Table, payloads: Payloads) -> None:
        self._table = table
        self._payloads = payloads

    def create(self, thread: Thread, creation: Creation | None = None) -> Thread:
        """Store a new thread, and return it as it was created first.

        Raises ConflictError if `creation` created it before, and it is deleted.
        """
        item = {**keys.thread(thread.id), **thread.model_dump(), "thread_key": _entry(thread)}
        if creation is None:
            # The id is new, so boto3 may repeat the write if its response was lost.
            self._table.put(item)
            return thread
        try:
            transact(self._table.client, [self._table.put_change(item), creation.change()])
        except ConditionFailedError as error:
            stored = self.get(thread.id)
            if stored is None:
                raise deleted_error("thread") from error
            at = stored.created_at
            return thread.model_copy(update={"created_at": at, "updated_at": at})
        return thread

    def get(self, thread_id: str, *, include_deleting: bool = False) -> Thread | None:
        """Return the thread, or None.

        With `include_deleting`, return also a thread whose deletion has started or ended.
        """
        item = self._table.get(keys.thread(thread_id))
        if item is None or ("deleted_at" in item and not include_deleting):
            return None
        return Thread.model_validate(item)

    def newest(self, projects: Sequence[str], before: Thread | None, limit: int) -> list[Thread]:
        """Return the newest threads of these projects, newest first, created before `before`."""
        lists = [
            IndexPartition(keys.THREADS_BY_PROJECT_INDEX, "project_id", project, "thread_key")
            for project in projects
        ]
        cursor = _entry(before) if before else None
        ids = newest_first(self._table, lists, cursor, limit)
        items = self._table.batch_get([keys.thread(thread_id) for thread_id in ids])
        threads = {
            item["id"]: Thread.model_validate(item) for item in items if "thread_key" in item
        }
        return [threads[thread_id] for thread_id in ids if thread_id in threads]

    def inactive_since(self, project_id: str, moment: str) -> Iterator[str]:
        """Yield the ids of the project's threads without activity since `moment`, oldest first."""
        values = {":project_id": project_id, ":before": moment}
        condition = "#project_id = :project_id AND #thread_key < :before"
        entries = self._table.sort_keys(condition, values, keys.THREADS_BY_PROJECT_INDEX)
        while batch := list(islice(entries, _BATCH_THREADS)):
            items = self._table.batch_get([keys.thread(entry.partition("#")[2]) for entry in batch])
            threads = [Thread.model_validate(item) for item in items if "thread_key" in item]
            for thread in threads:
                if thread.active_run_id is None and thread.updated_at < moment:
                    yield thread.id

    def rename(self, thread: Thread, title: str | None) -> Thread:
        """Set the thread's title, or remove it. Raises ThreadNotFoundError if it is deleted."""
        fields = {"title": title, "updated_at": timestamp()}
        try:
            self._table.update(
                keys.thread(thread.id), fields, only_if={"thread_key": _entry(thread)}
            )
        except ConditionFailedError as error:
            raise ThreadNotFoundError from error
        return thread.model_copy(update=fields)

    def newest_runs(self, thread_id: str, before: Run | DeletedRun | None, limit: int) -> list[str]:
        """Return the ids of the thread's newest runs, newest first, started before `before`."""
        values = {":pk": keys.thread(thread_id)["pk"], ":from": "RUN#", ":until": "RUN#~"}
        if before is not None:
            values[":until"] = str(keys.thread_run(thread_id, before.started_at, before.id)["sk"])
        items = self._table.query(
            "#pk = :pk AND #sk BETWEEN :from AND :until", values, descending=True, limit=limit + 1
        )
        ids = [str(item["sk"]).rpartition("#")[2] for item in items]
        return [run_id for run_id in ids if before is None or run_id != before.id][:limit]

    # --- changes together with a run -----------------------------------------------------------

    def start_run_changes(self, thread: Thread, run: Run) -> list[TransactWriteItem]:
        """Return the changes that make the run the thread's active run.

        They require that the thread has no active run and no further message.
        """
        fields = {"active_run_id": run.id, "updated_at": run.started_at}
        required = {"active_run_id": None, "messages": thread.messages}
        return [
            self._table.update_change(keys.thread(thread.id), fields, only_if=required),
            self._table.put_change(keys.thread_run(thread.id, run.started_at, run.id)),
        ]

    def end_change(self, thread: Thread, run_id: str, *, answers: bool) -> TransactWriteItem:
        """Return the change that ends the active run. With `answers`, it counts a new message."""
        fields = {"active_run_id": None, "updated_at": timestamp()}
        if not answers:
            return self._table.update_change(
                keys.thread(thread.id), fields, only_if={"active_run_id": run_id}
            )
        return self._table.update_change(
            keys.thread(thread.id),
            {**fields, "messages": thread.messages + 1},
            only_if={"active_run_id": run_id, "messages": thread.messages},
        )

    def message_change(self, thread: Thread) -> TransactWriteItem:
        """Return the change that counts a new message of the thread."""
        fields = {"messages": thread.messages + 1, "updated_at": timestamp()}
        return self._table.update_change(
            keys.thread(thread.id), fields, only_if={"messages": thread.messages}
        )

    # --- deletion ------------------------------------------------------------------------------

    def delete(self, thread_id: str) -> Thread | None:
        """Delete the thread with its messages, but not its runs. Return None without a thread.

        A tombstone replaces the record last, so another call continues an interrupted deletion. For
        a day, a page of the list can still start after the deleted thread. Raises ThreadBusyError
        if the thread has an active run.
        """
        item = self._table.get(keys.thread(thread_id))
        if item is None or "ttl" in item:
            return None
        if "deleted_at" not in item:
            self._mark_deleted(thread_id)
        pk = keys.thread(thread_id)["pk"]
        parts: list[Key] = []
        payload_keys: list[str] = []
        for part in self._table.query("#pk = :pk", {":pk": pk}):
            if part["sk"] != "THREAD":
                parts.append({"pk": part["pk"], "sk": part["sk"]})
            if "content_key" in part:
                payload_keys.append(part["content_key"])
        # Payloads first, because only these items contain their keys.
        self._payloads.delete_many(payload_keys)
        self._table.delete_many(parts)
        thread = Thread.model_validate(item)
        self._table.put(_tombstone(thread))
        return thread

    def _mark_deleted(self, thread_id: str) -> None:
        """Remove the thread from all lists, and block new messages and runs."""
        fields = {"deleted_at": timestamp(), "thread_key": None, "messages": None}
        try:
            self._table.update(keys.thread(thread_id), fields, only_if={"active_run_id": None})
        except ConditionFailedError as error:
            raise ThreadBusyError({"thread": "has an active run; cancel it first"}) from error


def _tombstone(thread: Thread) -> Item:
    # The title may be personal data.
    fields = thread.model_dump(include={"id", "org_id", "project_id", "created_at", "updated_at"})
    times = {"deleted_at": timestamp(), "ttl": int(time.time()) + TOMBSTONE_SECONDS}
    return {**keys.thread(thread.id), **fields, **times}


def _entry(thread: Thread) -> str:
    return keys.time_sort_key(thread.created_at, thread.id)
