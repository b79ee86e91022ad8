"""Delete runs: hide a run at once, and remove its data when no worker can append to it.

The log itself fences late workers: a worker that was thought dead loses its next append, because
another event has that sequence. Without the log, its append would succeed. So a deletion **hides**
the run at once, in all lists and from all callers. It **removes** the data when the run has ended
for longer than a worker's invocation can take:

    hide      delete the list entries and the record's content, and schedule a check of the sweep
    remove    delete payloads, checkpoint, files that no other run uses, log, input requests
    last      replace the record by a tombstone, which prevents reuse of the id for a day

Every step can be repeated. The sweep checks hidden runs, and continues interrupted deletions.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.files import Files
from runyard_service.adapters.dynamodb.idempotency import RETENTION_SECONDS
from runyard_service.adapters.dynamodb.run_index.position_markers import PositionMarkers
from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    IndexPartition,
    RunFilter,
    append_only_lists,
)
from runyard_service.adapters.dynamodb.runs import JSON_FIELDS
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.json_fields import attributes_of
from runyard_service.adapters.s3.checkpoints import Checkpoints
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.request_errors import RunActiveError
from runyard_service.domain.runs import ENDED, Run, RunStatus, agent_name

# A worker's invocation ends after 15 minutes at the latest.
FENCED_SECONDS = 960
# A retry with the same Idempotency-Key can request the run again during this time.
TOMBSTONE_SECONDS = RETENTION_SECONDS


class DeletedRun(BaseModel):
    """The rest of a deleted run's record: its owner, and the data needed to remove its parts."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    org_id: str
    project_id: str
    deleted_at: str
    started_at: str = ""
    ttl: int | None = None
    agent: str = ""
    status: RunStatus = "completed"
    ended_at: str = ""
    user_id: str | None = None
    session_id: str | None = None
    file_ids: tuple[str, ...] = ()
    idempotency_digest: str = ""

    @property
    def is_gone(self) -> bool:
        """Return whether only the tombstone is left."""
        return self.ttl is not None

    @property
    def is_removable(self) -> bool:
        """Return whether every worker that has not seen the run's end has stopped."""
        return parse(self.ended_at) + timedelta(seconds=FENCED_SECONDS) <= now()


@dataclass(frozen=True)
class DeletedRuns:
    """The hidden run items of the records table, and all data of these runs."""

    records: Table
    events: Table
    payloads: Payloads
    checkpoints: Checkpoints
    files: Files
    markers: PositionMarkers

    def find(self, run_id: str) -> DeletedRun | None:
        """Return the run if it is hidden or removed, else None. Tombstones expire after a day."""
        item = self.records.get(keys.run(run_id))
        return DeletedRun.model_validate(item) if item and "deleted_at" in item else None

    def hide(self, run: Run) -> DeletedRun | None:
        """Hide the run from all callers, and return the rest of its record.

        Return None if the record is gone already. Raises RunActiveError if the run has not ended.
        """
        if not run.has_ended:
            raise RunActiveError({"run": "has not ended; cancel it first"})
        lists = _lists(run)
        self.markers.start_change(lists)
        try:
            transact(self.records.client, self._hide_changes(run))
        except ConditionFailedError:
            if self.find(run.id) is None:  # Only another deletion changes an ended run.
                raise
        self.markers.finish_change(lists)
        return self.find(run.id)

    def _hide_changes(self, run: Run) -> list[TransactWriteItem]:
        due = parse(run.ended_at or timestamp()) + timedelta(seconds=FENCED_SECONDS)
        lists = (
            *("started_key", "ended_key", "status_key"),
            *("user_key", "session_key", "agent_key"),
        )
        fields = {
            **dict.fromkeys((*lists, *attributes_of(JSON_FIELDS), "created_by")),
            "deleted_at": timestamp(),
            "sweep_shard": keys.sweep_shard(run.id),
            "sweep_at": timestamp(max(due, now())),
        }
        ended = {"deleted_at": None, "status": tuple(ENDED)}
        changes = [self.records.update_change(keys.run(run.id), fields, only_if=ended)]
        if run.thread_id is not None:
            entry = keys.thread_run(run.thread_id, run.started_at, run.id)
            changes.append(self.records.delete_change(entry))
        uses = (self.files.use_change(run.project_id, file_id, -1) for file_id in run.file_ids)
        return [*changes, *uses]

    def remove(self, deleted: DeletedRun) -> None:
        """Remove all data of the run. Callers may repeat the call, also concurrently."""
        self.markers.finish_change(_lists(deleted))
        self.payloads.delete_all(deleted.id)
        self.checkpoints.delete(deleted.id)
        for file_id in deleted.file_ids:
            self.files.delete_unused(deleted.project_id, file_id)
        log = self.events.query("#run_id = :run_id", {":run_id": deleted.id})
        self.events.delete_many(
            {"run_id": item["run_id"], "sequence": item["sequence"]} for item in log
        )
        record = keys.run(deleted.id)
        parts = list(self.records.query("#pk = :pk", {":pk": record["pk"]}))
        for part in parts:
            if file_id := keys.returned_file_id(part):
                self.files.delete_unused(deleted.project_id, file_id)
        self.records.delete_many(
            {"pk": part["pk"], "sk": part["sk"]} for part in parts if part["sk"] != record["sk"]
        )
        tombstone = {
            **record,
            **deleted.model_dump(
                include={"id", "org_id", "project_id", "started_at", "deleted_at"}
            ),
            "ttl": int(time.time()) + TOMBSTONE_SECONDS,
        }
        # The receipt stays as long: a writer with the old record must not count the run again.
        self.records.put({**keys.usage_receipt(deleted.id), "ttl": tombstone["ttl"]})
        self.records.put(tombstone)


def _lists(run: Run | DeletedRun) -> Sequence[IndexPartition]:
    run_filter = RunFilter(
        run.project_id,
        user_id=run.user_id,
        session_id=run.session_id,
        agent=agent_name(run.agent),
    )
    return append_only_lists(run_filter, run.status)
