"""The records of runs. A status changes only in one transaction with its event."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Item,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.json_fields import JsonFields
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.event_payloads.runs import CodeVersion
from runyard_service.domain.request_errors import ConflictError
from runyard_service.domain.runs import ENDED, Run, RunStatus, Usage, agent_name

# Seconds until the sweep checks a run without news. A created run should start within seconds. The
# worker of a started run ends within 15 minutes. A paused run is checked once a day, and when its
# wait has ended.
_CHECK_AFTER_SECONDS: Mapping[str, float] = {"created": 120, "started": 960, "paused": 86_400}

# The sweep acts for a timer of the state machine that is later than this.
TIMER_GRACE_SECONDS = 120

JSON_FIELDS = ("input", "output", "error")
# Most runs have none of these, and AWS bills every KB of a record at each change of its run.
_LEFT_OUT_WHILE_EMPTY = frozenset(
    {
        "file_ids",
        "thread_messages",
        "route_id",
        "model",
        "fallback_model",
        "trace_id",
        "idempotency_digest",
        "checkpoint",
    }
)
_LIVE: tuple[RunStatus, ...] = ("created", "started", "paused")


def api_status(status: str, open_requests: int) -> str:
    """Return the status in the API: `awaiting_input` while an input request is open."""
    return "awaiting_input" if open_requests and status not in ENDED else status


def _usage_item(usage: Usage) -> dict[str, Any]:
    """Return the stored usage: values other than 0, and the cost as exact text."""
    return usage.model_dump(mode="json", exclude_defaults=True)


def stored_usage(item: Mapping[str, Any]) -> Usage:
    """Return the usage of its stored form."""
    cost = item.get("cost_usd")
    return Usage.model_validate({**item, "cost_usd": None if cost is None else Decimal(cost)})


def _sweep_at(status: RunStatus, wait_seconds: float | None) -> str:
    wait = float("inf") if wait_seconds is None else max(0, wait_seconds) + TIMER_GRACE_SECONDS
    return timestamp_in(min(_CHECK_AFTER_SECONDS[status], wait))


def _code_version(code: CodeVersion) -> str:
    return f"{code['function']}:{code['version']}"


def _current_execution(execution: int) -> dict[str, Any]:
    return {"execution": execution, "sweep_at": timestamp_in(_CHECK_AFTER_SECONDS["created"])}


class Runs:
    """The run items of the records table."""

    def __init__(self, table: Table, payloads: Payloads) -> None:
        self._table = table
        self._json = JsonFields(payloads)

    def create(self, run: Run, changes: Sequence[TransactWriteItem] = ()) -> None:
        """Store a new run, together with `changes` of other records.

        Raises ConflictError if a run has this id, ConditionFailedError if the condition of a change
        does not hold.
        """
        item = self.to_item(run)
        try:
            if changes:
                create = self._table.put_change(item, if_absent=True)
                transact(self._table.client, [create, *changes])
            else:
                self._table.put(item, if_absent=True)
        except ConditionFailedError as error:
            if 0 not in error.items:
                raise
            raise ConflictError({"id": "already exists"}) from error

    def to_item(self, run: Run) -> Item:
        """Return the record of a run in any state, with the sort keys of its lists."""
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
            "started_key": keys.time_sort_key(run.started_at, run.id),
            "status_key": keys.scoped(run.project_id, api_status(run.status, run.open_requests)),
            "agent_key": keys.scoped(run.project_id, agent_name(run.agent)),
        }
        if run.user_id is not None:
            item["user_key"] = keys.scoped(run.project_id, run.user_id)
        if run.session_id is not None:
            item["session_key"] = keys.scoped(run.project_id, run.session_id)
        if run.ended_at is not None:
            item["ended_key"] = keys.time_sort_key(run.ended_at, run.id)
            item["usage"] = _usage_item(run.usage)
        else:
            item["sweep_shard"] = keys.sweep_shard(run.id)
            item["sweep_at"] = timestamp_in(_CHECK_AFTER_SECONDS[run.status])
        return item

    def get(self, run_id: str, can_access: Callable[[str, str], bool] | None = None) -> Run | None:
        """Return the run, or None if it does not exist or is deleted.

        `can_access` gets the organization and the project. If it returns False, return None without
        more work than for an unknown run: a difference in time would show that the run exists.
        """
        item = self._table.get(keys.run(run_id))
        if item is None:
            return None
        owner = item.get("org_id", ""), item.get("project_id", "")
        return self.from_item(item) if can_access is None or can_access(*owner) else None

    def many(self, run_ids: Sequence[str]) -> list[Run]:
        """Return these runs in this order, without those that do not exist or are deleted."""
        return list(self.each(run_ids))

    def each(self, run_ids: Sequence[str]) -> Iterator[Run]:
        """Yield the runs of `many`. Large payloads are read from S3 run by run."""
        items = {
            item["id"]: item
            for item in self._table.batch_get([keys.run(run_id) for run_id in run_ids])
        }
        for run_id in run_ids:
            if run_id in items and (run := self.from_item(items[run_id])) is not None:
                yield run

    def status_change(
        self,
        run: Run,
        status: RunStatus,
        *,
        open_requests: int = 0,
        usage: Usage | None = None,
        wait_seconds: float | None = None,
        execution: int | None = None,
        code: CodeVersion | None = None,
    ) -> TransactWriteItem:
        """Return the change to another status in which the run has not ended.

        `usage` is the usage so far, `wait_seconds` the longest wait, `execution` the number of the
        run's new current execution, and `code` the version of an agent's own code. A start leaves
        `sweep_at` as it is, which saves the index writes for a short run. The sweep moves the check
        of a longer run.
        """
        fields: dict[str, Any] = {
            "status": status,
            "open_requests": open_requests,
            "status_key": keys.scoped(run.project_id, api_status(status, open_requests)),
        }
        if status != "started":
            fields["sweep_at"] = _sweep_at(status, wait_seconds)
        if usage is not None:
            fields["usage"] = _usage_item(usage)
        if execution is not None:
            fields["execution"] = execution
        if code is not None:
            fields["code_version"] = _code_version(code)
        return self._table.update_change(keys.run(run.id), fields, only_if={"status": _LIVE})

    def input_closed_change(self, run: Run, open_requests: int) -> TransactWriteItem:
        """Return the change that leaves `open_requests` input requests open.

        The run stays as it is until a worker resumes it. If no request is open, the sweep soon
        checks that a worker has done so.
        """
        fields: dict[str, Any] = {"open_requests": open_requests}
        if not open_requests:
            fields["sweep_at"] = timestamp_in(_CHECK_AFTER_SECONDS["created"])
            fields["status_key"] = keys.scoped(run.project_id, run.status)
        return self._table.update_change(keys.run(run.id), fields, only_if={"status": _LIVE})

    def end_change(
        self,
        run: Run,
        status: RunStatus,
        usage: Usage,
        *,
        ended_at: str,
        output: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> TransactWriteItem:
        """Return the change that ends the run. The sweep never checks it again."""
        fields = {
            "status": status,
            "ended_at": ended_at,
            "ended_key": keys.time_sort_key(ended_at, run.id),
            "status_key": keys.scoped(run.project_id, status),
            "open_requests": 0,
            "sweep_shard": None,
            "sweep_at": None,
            "usage": _usage_item(usage),
            **self._json.encoded(run.id, {"output": output, "error": error}),
        }
        return self._table.update_change(keys.run(run.id), fields, only_if={"status": _LIVE})

    def model_change(self, run: Run, fallback_model: str) -> TransactWriteItem:
        """Return the change that records the model of the run's fallback route."""
        return self._table.update_change(
            keys.run(run.id), {"fallback_model": fallback_model}, only_if={"status": _LIVE}
        )

    def code_change(self, run: Run, code: CodeVersion) -> TransactWriteItem:
        """Return the change that records another version of an agent's own code."""
        fields = {"code_version": _code_version(code)}
        return self._table.update_change(keys.run(run.id), fields, only_if={"status": _LIVE})

    def active_check(self, run_id: str) -> TransactWriteItem:
        """Return the transaction entry that requires that the run has not ended."""
        return self._table.check_change(keys.run(run_id), only_if={"status": _LIVE})

    def execution_change(self, run: Run, execution: int) -> TransactWriteItem:
        """Return the change that makes `execution` the run's current execution."""
        return self._table.update_change(
            keys.run(run.id),
            _current_execution(execution),
            only_if={"status": _LIVE, "execution": run.execution},
        )

    def set_current_execution(self, run: Run, execution: int) -> None:
        """Make `execution` the run's current execution, without an event.

        Raises ConditionFailedError if the run has ended, or if it has another current execution.
        """
        self._table.update(
            keys.run(run.id),
            _current_execution(execution),
            only_if={"status": _LIVE, "execution": run.execution},
        )

    def record_checkpoint(self, run_id: str, sequence: int) -> None:
        """Record that the newest checkpoint of the run ends with event `sequence`."""
        with suppress(ConditionFailedError):  # The run may have ended in the meantime.
            self._table.update(
                keys.run(run_id), {"checkpoint": sequence}, only_if={"status": _LIVE}
            )

    def schedule_check(self, run: Run, wait_seconds: float | None = None) -> None:
        """Schedule the next check of the sweep; `wait_seconds` are left of the run's wait."""
        fields = {"sweep_at": _sweep_at(run.status, wait_seconds)}
        with suppress(ConditionFailedError):  # It may have ended in the meantime.
            self._table.update(keys.run(run.id), fields, only_if={"status": _LIVE})

    def due_for_check(self, until: str | None) -> Iterator[str]:
        """Yield the ids of the runs that are due for a check before `until`; None: of all of them.

        These are the active runs, runs with a hold, also ended runs, and runs whose deletion is not
        complete. An id may appear twice.
        """
        for shard in range(keys.OPEN_RUN_SHARDS):
            values = {":sweep_shard": keys.shard_name(shard), ":until": until or "9"}
            items = self._table.query(
                "#sweep_shard = :sweep_shard AND #sweep_at < :until",
                values,
                index=keys.OPEN_RUNS_INDEX,
            )
            for item in items:
                yield item["pk"].partition("#")[2]

    def ids(self) -> set[str]:
        """Return the id of every run. Reads the whole table."""
        return {pk.removeprefix("RUN#") for pk in self._table.scan("pk") if pk.startswith("RUN#")}

    def from_item(self, item: Item) -> Run | None:
        """Return the run of a record, or None if the record is of a deleted run."""
        if "deleted_at" in item:
            return None
        fields = keys.without_keys(item) | self._json.decoded(item, JSON_FIELDS)
        if usage := fields.get("usage"):
            fields["usage"] = stored_usage(usage)
        return Run.model_validate(fields)
