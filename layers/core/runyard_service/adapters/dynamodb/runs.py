"""The records of runs: each changes only together with the event that says so.

All but two: that a worker begins with a run, or goes on with it behind the last answer, stands in
its log alone (`beginnings.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    Change,
    ConditionFailedError,
    Item,
    transact,
)
from runyard_service.adapters.dynamodb.json_fields import JsonFields
from runyard_service.adapters.dynamodb.started_runs import Beginnings, begins_at
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.domain.clock import stamp_in
from runyard_service.domain.errors import ConflictError, NotFoundError
from runyard_service.domain.runs import ENDED, Run, RunStatus, Usage

# When the sweep should look at a run that nothing was heard of: a created one should have been
# started long since; one that it found at work is left to its worker, whose invocation ends after
# 15 minutes at the latest; a waiting one is looked at once a day, and when its wait is over.
_CHECK_AFTER_SECONDS: Mapping[str, float] = {"created": 120, "started": 960, "paused": 86_400}

# What a timer of the state machine may be late, before the sweep does its work.
TIMER_GRACE_SECONDS = 120

# A process works on few runs at a time.
_REMEMBERED_RUNS = 10_000
JSON_FIELDS = ("input", "output", "error")
# Most runs have none of these, and every KB of a record is paid for at each change of its run.
_LEFT_OUT_WHILE_EMPTY = frozenset(
    {"file_ids", "thread_messages", "route_id", "model", "trace_id", "idempotency_digest"}
    | {"checkpoint", "resumes_at"}
)
_LIVE: tuple[RunStatus, ...] = ("created", "started", "paused")


def reported(status: str, open_requests: int) -> str:
    """The status that the API shows: `awaiting_input` for a live run with an open question."""
    return "awaiting_input" if open_requests and status not in ENDED else status


def _kept(usage: Usage) -> dict[str, Any]:
    """The usage as its record has it: what is not 0, and its cost as exact text."""
    return usage.model_dump(mode="json", exclude_defaults=True)


def _sweep_at(status: RunStatus, wait_seconds: float | None) -> str:
    wait = float("inf") if wait_seconds is None else max(0, wait_seconds) + TIMER_GRACE_SECONDS
    return stamp_in(min(_CHECK_AFTER_SECONDS[status], wait))


def _carried_by(execution: int) -> dict[str, Any]:
    return {"execution": execution, "sweep_at": stamp_in(_CHECK_AFTER_SECONDS["created"])}


class Runs:
    """The run items of the records table."""

    def __init__(self, table: Table, payloads: Payloads, beginnings: Beginnings) -> None:
        self._table = table
        self._json = JsonFields(payloads)
        self._beginnings = beginnings
        self._projects: dict[str, str] = {}

    def create(self, run: Run, changes: Sequence[Change] = ()) -> None:
        """Keep a new run, together with `changes` of other records.

        Raises ConflictError where a run has this id, ConditionFailedError where a change's own
        condition did not hold.
        """
        item = self.to_item(run)
        try:
            if changes:
                put = self._table.put_change(item, if_absent=True)
                transact(self._table.client, [put, *changes])
            else:
                self._table.put(item, if_absent=True)
        except ConditionFailedError as error:
            if 0 not in error.items:
                raise
            raise ConflictError({"id": "is taken"}) from error
        self._remember(run)

    def to_item(self, run: Run) -> Item:
        """The record of a run in whatever state, with what its lists find it by."""
        json_fields = {name: getattr(run, name) for name in JSON_FIELDS}
        fields = run.model_dump(exclude={*JSON_FIELDS, "usage"})
        item: Item = {
            **keys.run(run.id),
            **{
                name: value
                for name, value in fields.items()
                if value or name not in _LEFT_OUT_WHILE_EMPTY
            },
            **self._json.encoded(run.id, json_fields),
            "started_key": keys.timed(run.started_at, run.id),
            "status_key": keys.within(run.project_id, reported(run.status, run.open_requests)),
        }
        if run.user_id is not None:
            item["user_key"] = keys.within(run.project_id, run.user_id)
        if run.session_id is not None:
            item["session_key"] = keys.within(run.project_id, run.session_id)
        if run.ended_at is not None:
            item["ended_key"] = keys.timed(run.ended_at, run.id)
            item["usage"] = _kept(run.usage)
        else:
            item["sweep_shard"] = keys.sweep_shard(run.id)
            item["sweep_at"] = stamp_in(_CHECK_AFTER_SECONDS[run.status])
        return item

    def get(self, run_id: str) -> Run | None:
        """The run, or None; one that is deleted is none."""
        run = self.record(run_id)
        return None if run is None else self.with_beginnings([run])[0]

    def record(self, run_id: str) -> Run | None:
        """The same for one read less: one that says `created` or `paused` may be at work."""
        item = self._table.get(keys.run(run_id))
        run = self.from_item(item) if item else None
        if run is not None:
            self._remember(run)
        return run

    def many(self, run_ids: Sequence[str]) -> list[Run]:
        """These runs, in this order; an id that is none is passed over."""
        found = self._table.batch_get([keys.run(run_id) for run_id in run_ids])
        records = [run for run in map(self.from_item, found) if run is not None]
        runs = {run.id: run for run in self.with_beginnings(records)}
        return [runs[run_id] for run_id in run_ids if run_id in runs]

    def with_beginnings(self, records: Sequence[Run]) -> Sequence[Run]:
        """The runs as they are: those whose log says that a worker has begun are `started`."""
        places = {
            run.id: begins_at(run.status, run.open_requests, run.resumes_at) for run in records
        }
        begun = self._beginnings.begun(places)
        return [
            run.model_copy(update={"status": "started"}) if run.id in begun else run
            for run in records
        ]

    def status_change(
        self,
        run_id: str,
        status: RunStatus,
        *,
        open_requests: int = 0,
        usage: Usage | None = None,
        wait_seconds: float | None = None,
        execution: int | None = None,
    ) -> Change:
        """The run goes on living in another status; `usage` is what it has used so far.

        `wait_seconds` is how long it waits at most, `execution` the one that carries it from now
        on, where that is another one. Whoever begins with a run leaves open when the
        sweep looks at it: who set it going has said so, and only a run that is at work for longer
        than that pays for another moment.
        """
        fields: dict[str, Any] = {
            "status": status,
            "open_requests": open_requests,
            "status_key": self._status_key(run_id, reported(status, open_requests)),
        }
        if status != "started":
            fields["sweep_at"] = _sweep_at(status, wait_seconds)
        if usage is not None:
            fields["usage"] = _kept(usage)
        if execution is not None:
            fields["execution"] = execution
        return self._table.update_change(keys.run(run_id), fields, status=_LIVE)

    def answered_change(self, run_id: str, open_requests: int, sequence: int) -> Change:
        """One question fewer is open, by event `sequence`; with none left, the run may go on.

        It stays paused until a worker takes it up, which its log will say. The sweep soon looks
        whether one does.
        """
        fields: dict[str, Any] = {"open_requests": open_requests}
        if not open_requests:
            fields["resumes_at"] = sequence + 1
            fields["sweep_at"] = stamp_in(_CHECK_AFTER_SECONDS["created"])
            fields["status_key"] = self._status_key(run_id, "paused")
        return self._table.update_change(keys.run(run_id), fields, status=_LIVE)

    def end_change(
        self,
        run_id: str,
        status: RunStatus,
        usage: Usage,
        *,
        ended_at: str,
        output: Mapping[str, Any] | None = None,
        error: Mapping[str, str] | None = None,
    ) -> Change:
        """The run ends; the sweep never looks at it again."""
        fields = {
            "status": status,
            "ended_at": ended_at,
            "ended_key": keys.timed(ended_at, run_id),
            "status_key": self._status_key(run_id, status),
            "open_requests": 0,
            "sweep_shard": None,
            "sweep_at": None,
            "usage": _kept(usage),
            **self._json.encoded(run_id, {"output": output, "error": error}),
        }
        return self._table.update_change(keys.run(run_id), fields, status=_LIVE)

    def live_check(self, run_id: str) -> Change:
        """Only if the run has not ended."""
        return self._table.check_change(keys.run(run_id), status=_LIVE)

    def execution_change(self, run: Run, execution: int) -> Change:
        """Another execution carries the run from now on."""
        return self._table.update_change(
            keys.run(run.id), _carried_by(execution), status=_LIVE, execution=(run.execution,)
        )

    def go_on_in(self, run: Run, execution: int) -> None:
        """The same for one that changes nothing else, and so has no event.

        Raises ConditionFailedError where the run has ended, or goes on in another one already.
        """
        self._table.update(
            keys.run(run.id), _carried_by(execution), status=_LIVE, execution=(run.execution,)
        )

    def has_checkpoint(self, run_id: str, sequence: int) -> None:
        """A checkpoint was kept that ends with this event."""
        with suppress(ConditionFailedError):  # The run may have ended meanwhile.
            self._table.update(keys.run(run_id), {"checkpoint": sequence}, status=_LIVE)

    def checked(self, run: Run, wait_seconds: float | None = None) -> None:
        """The sweep found the run well; it looks again later, once a wait should be over."""
        fields = {"sweep_at": _sweep_at(run.status, wait_seconds)}
        with suppress(ConditionFailedError):  # It may have ended meanwhile.
            self._table.update(keys.run(run.id), fields, status=_LIVE)

    def to_be_checked(self, until: str | None) -> Iterator[str]:
        """Ids of the runs that are to be checked by `until`; None: of all live ones.

        Also of those that hold money, ended ones among them, and of those of which something is to
        be deleted; an id may come twice.
        """
        for shard in range(keys.OPEN_RUN_SHARDS):
            values = {":sweep_shard": keys.shard_name(shard), ":until": until or "9"}
            found = self._table.query(
                "#sweep_shard = :sweep_shard AND #sweep_at < :until",
                values,
                index=keys.OPEN_RUNS_INDEX,
            )
            for item in found:
                yield item["pk"].partition("#")[2]

    def ids(self) -> set[str]:
        """Every run that there is. Reads the whole table."""
        return {pk.removeprefix("RUN#") for pk in self._table.scan("pk") if pk.startswith("RUN#")}

    def _status_key(self, run_id: str, status: str) -> str:
        # Whoever changes a run has read it before, in this process: hardly ever a read of its own.
        project_id = self._projects.get(run_id)
        if project_id is None:
            run = self.get(run_id)
            if run is None:
                raise NotFoundError
            project_id = run.project_id
        return keys.within(project_id, status)

    def _remember(self, run: Run) -> None:
        """A run's project never changes, and every change of its status needs it."""
        if len(self._projects) >= _REMEMBERED_RUNS:
            self._projects.clear()
        self._projects[run.id] = run.project_id

    def from_item(self, item: Item) -> Run | None:
        """The run that a record says; None where it says that the run is deleted."""
        if "deleted_at" in item:
            return None
        fields = keys.without_keys(item) | self._json.decoded(item, JSON_FIELDS)
        if usage := fields.get("usage"):
            cost = usage.get("cost_usd")
            fields["usage"] = {**usage, "cost_usd": None if cost is None else Decimal(cost)}
        return Run.model_validate(fields)
