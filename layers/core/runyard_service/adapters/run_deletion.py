"""The deletion of runs: marked at once, removed when nobody can write behind it any more.

The log's fence is the log itself: a worker that was thought dead loses its next append to what
stands at that place. Without the log it would win. So a run is **marked** at once, which takes it
out of every list and hides it from everybody; what there is of it is **removed** once it has ended
for longer than a worker's invocation can take:

    mark      out of all lists, content of the record gone, back in the index of the sweep
    remove    payloads, checkpoint, files that no other run uses, log, requests
    at last   the record becomes a tombstone, which keeps the id from being used again for a day

Every step can be repeated, and the mark puts the run before the sweep, which takes up what was
interrupted.
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
    append_only_lists,
)
from runyard_service.adapters.dynamodb.runs import JSON_FIELDS
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.json_fields import attributes_of
from runyard_service.adapters.s3.checkpoints import Checkpoints
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.errors import RunActiveError
from runyard_service.domain.runs import ENDED, Run, RunStatus

# A worker's invocation ends after 15 minutes at the latest.
FENCED_SECONDS = 960
# As long as an Idempotency-Key could ask for the run again.
TOMBSTONE_SECONDS = RETENTION_SECONDS


class DeletedRun(BaseModel):
    """What is left of a run that is deleted: whose it was, and where its parts are to be found."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    org_id: str
    project_id: str
    deleted_at: str
    started_at: str = ""
    ttl: int | None = None
    status: RunStatus = "completed"
    ended_at: str = ""
    user_id: str | None = None
    session_id: str | None = None
    file_ids: tuple[str, ...] = ()
    idempotency_digest: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left but this."""
        return self.ttl is not None

    @property
    def is_removable(self) -> bool:
        """Whether no worker can be at work any more that has not seen the run's end."""
        return parse(self.ended_at) + timedelta(seconds=FENCED_SECONDS) <= now()


@dataclass(frozen=True)
class DeletedRuns:
    """The run items of the records table that are marked, and everything that belongs to them."""

    records: Table
    events: Table
    payloads: Payloads
    checkpoints: Checkpoints
    files: Files
    markers: PositionMarkers

    def find(self, run_id: str) -> DeletedRun | None:
        """A run that is deleted, or being deleted; None of any other, and a day or so later."""
        item = self.records.get(keys.run(run_id))
        return DeletedRun.model_validate(item) if item and "deleted_at" in item else None

    def hide(self, run: Run) -> DeletedRun | None:
        """From now on there is no such run. Raises RunLiveError where it has not ended.

        None where another deletion was so fast that nothing is left.
        """
        if not run.has_ended:
            raise RunActiveError({"run": "has not ended; cancel it first"})
        lists = _lists(run)
        self.markers.start_change(lists)
        try:
            transact(self.records.client, self._hide_changes(run))
        except ConditionFailedError:
            if self.find(run.id) is None:  # Nobody but another deletion changes an ended run.
                raise
        self.markers.finish_change(lists)
        return self.find(run.id)

    def _hide_changes(self, run: Run) -> list[TransactWriteItem]:
        due = parse(run.ended_at or timestamp()) + timedelta(seconds=FENCED_SECONDS)
        lists = ("started_key", "ended_key", "status_key", "user_key", "session_key")
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
        """Remove what is left of the run; it may be called again, also at the same moment."""
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
        parts = self.records.query("#pk = :pk", {":pk": record["pk"]})
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
        self.records.put(tombstone)


def _lists(run: Run | DeletedRun) -> Sequence[IndexPartition]:
    return append_only_lists(run.project_id, run.status, run.user_id, run.session_id)
