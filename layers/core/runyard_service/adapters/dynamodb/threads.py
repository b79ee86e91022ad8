"""The records of threads, and which runs belong to each.

A thread's record counts its messages and names the run that is at work in it. Every change of a
thread is conditional on the count that its writer has seen, so that messages are numbered without
a gap and a run sees exactly those that were there when it was created.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Key,
    TransactWriteItem,
)
from runyard_service.adapters.dynamodb.run_index.index_reader import newest_first
from runyard_service.adapters.dynamodb.run_index.run_list_plan import IndexPartition
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.run_deletion import DeletedRun
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import ThreadBusyError, ThreadNotFoundError
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Thread

_READ_AT_ONCE = 100


class Threads:
    """The thread items of the records table."""

    def __init__(self, table: Table, payloads: Payloads) -> None:
        self._table = table
        self._payloads = payloads

    def create(self, thread: Thread) -> None:
        """Keep a new thread."""
        item = {**keys.thread(thread.id), **thread.model_dump(), "thread_key": _entry(thread)}
        # Under a new id, so that boto3 may send it again where its answer was lost.
        self._table.put(item)

    def get(self, thread_id: str, *, also_marked: bool = False) -> Thread | None:
        """The thread, or None; one that is being deleted is found only where `also_marked`."""
        item = self._table.get(keys.thread(thread_id))
        if item is None or ("deleted_at" in item and not also_marked):
            return None
        return Thread.model_validate(item)

    def newest(self, projects: Sequence[str], before: Thread | None, limit: int) -> list[Thread]:
        """The newest threads of these projects, newest first; with `before`, only older ones."""
        lists = [
            IndexPartition(keys.THREADS_BY_PROJECT_INDEX, "project_id", project, "thread_key")
            for project in projects
        ]
        cursor = _entry(before) if before else None
        ids = newest_first(self._table, lists, cursor, limit)
        items = self._table.batch_get([keys.thread(thread_id) for thread_id in ids])
        found = {item["id"]: Thread.model_validate(item) for item in items if "thread_key" in item}
        return [found[thread_id] for thread_id in ids if thread_id in found]

    def inactive_since(self, project_id: str, moment: str) -> Iterator[str]:
        """The ids of the project's threads in which nothing has happened since, oldest first."""
        values = {":project_id": project_id, ":before": moment}
        condition = "#project_id = :project_id AND #thread_key < :before"
        entries = self._table.sort_keys(condition, values, keys.THREADS_BY_PROJECT_INDEX)
        while some := list(islice(entries, _READ_AT_ONCE)):
            items = self._table.batch_get([keys.thread(one.partition("#")[2]) for one in some])
            threads = [Thread.model_validate(item) for item in items if "thread_key" in item]
            for thread in threads:
                if thread.active_run_id is None and thread.updated_at < moment:
                    yield thread.id

    def rename(self, thread: Thread, title: str | None) -> Thread:
        """Give the thread another title, or none. Raises ThreadNotFoundError where it is gone."""
        fields = {"title": title, "updated_at": timestamp()}
        try:
            self._table.update(
                keys.thread(thread.id), fields, only_if={"thread_key": _entry(thread)}
            )
        except ConditionFailedError as error:
            raise ThreadNotFoundError from error
        return thread.model_copy(update=fields)

    def newest_runs(self, thread_id: str, before: Run | DeletedRun | None, limit: int) -> list[str]:
        """The ids of the thread's newest runs, newest first; with `before`, only older ones."""
        values = {":pk": keys.thread(thread_id)["pk"], ":from": "RUN#", ":until": "RUN#~"}
        if before is not None:
            values[":until"] = str(keys.thread_run(thread_id, before.started_at, before.id)["sk"])
        found = self._table.query(
            "#pk = :pk AND #sk BETWEEN :from AND :until", values, descending=True, limit=limit + 1
        )
        ids = [str(item["sk"]).rpartition("#")[2] for item in found]
        return [run_id for run_id in ids if before is None or run_id != before.id][:limit]

    # --- what changes together with a run ------------------------------------------------------

    def start_run_changes(self, thread: Thread, run: Run) -> list[TransactWriteItem]:
        """The run goes to work in the thread, which has no other one and no further message."""
        fields = {"active_run_id": run.id, "updated_at": run.started_at}
        free = {"active_run_id": None, "messages": thread.messages}
        return [
            self._table.update_change(keys.thread(thread.id), fields, only_if=free),
            self._table.put_change(keys.thread_run(thread.id, run.started_at, run.id)),
        ]

    def end_change(self, thread: Thread, run_id: str, *, answers: bool) -> TransactWriteItem:
        """The run's work in the thread is over; where it `answers`, by one further message."""
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
        """The thread has one message more."""
        fields = {"messages": thread.messages + 1, "updated_at": timestamp()}
        return self._table.update_change(
            keys.thread(thread.id), fields, only_if={"messages": thread.messages}
        )

    # --- the end -------------------------------------------------------------------------------

    def delete(self, thread_id: str) -> Thread | None:
        """Delete the thread with its messages; its runs stay. None where there is none.

        The record goes last: a deletion that was interrupted is taken up by deleting again. Raises
        ThreadBusyError where a run is at work in it.
        """
        item = self._table.get(keys.thread(thread_id))
        if item is None:
            return None
        if "deleted_at" not in item:
            self._mark_deleted(thread_id)
        pk = keys.thread(thread_id)["pk"]
        parts: list[Key] = []
        large: list[str] = []
        for part in self._table.query("#pk = :pk", {":pk": pk}):
            if part["sk"] != "THREAD":
                parts.append({"pk": part["pk"], "sk": part["sk"]})
            if "content_key" in part:
                large.append(part["content_key"])
        # First what only these items name.
        self._payloads.delete_many(large)
        self._table.delete_many(parts)
        self._table.delete_many([keys.thread(thread_id)])
        return Thread.model_validate(item)

    def _mark_deleted(self, thread_id: str) -> None:
        """From now on the thread is in no list, and takes no message and no run."""
        gone = {"deleted_at": timestamp(), "thread_key": None, "messages": None}
        try:
            self._table.update(keys.thread(thread_id), gone, only_if={"active_run_id": None})
        except ConditionFailedError as error:
            raise ThreadBusyError({"thread": "has an active run; cancel it first"}) from error


def _entry(thread: Thread) -> str:
    return keys.time_sort_key(thread.created_at, thread.id)
