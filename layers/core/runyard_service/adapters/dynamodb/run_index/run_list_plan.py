"""Find the index partitions that contain the requested runs, and their order.

Every ended run is also in a list to which entries are only added at the end (`runs-by-end`). So
only active runs must be counted without markers.

A limit on the time of the start is a range of the sort key of the lists by start. A limit on the
time of the end is a range of the sort key of the lists by end. No index has both orders, so a
combination of both limits has no plan.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from runyard_service.adapters.dynamodb import keys
from runyard_service.domain.runs import ENDED

API_STATUSES = (*("created", "started", "paused", "awaiting_input"), *sorted(ENDED))
SORTABLE = ("started_at", "ended_at", "status")
# Every entry starts with a year below 9000, so it sorts between these.
FIRST, LAST = "!", "9"


@dataclass(frozen=True)
class RunFilter:
    """A filter of a project's runs. Statuses are statuses of the API; no statuses: all.

    `agent` is the name of an agent without its version. Times are timestamps: `started_after` and
    `ended_after` include the time, `started_before` excludes it. With `ended_after`, only ended
    runs match.
    """

    project_id: str
    statuses: frozenset[str] = frozenset()
    user_id: str | None = None
    session_id: str | None = None
    agent: str | None = None
    started_after: str = FIRST
    started_before: str = LAST
    ended_after: str | None = None

    @property
    def limits_start(self) -> bool:
        """Return whether the filter limits the time of the start."""
        return (self.started_after, self.started_before) != (FIRST, LAST)

    @property
    def listed_statuses(self) -> frozenset[str]:
        """Return the statuses that the runs can have."""
        statuses = self.statuses or frozenset(API_STATUSES)
        return statuses if self.ended_after is None else statuses & ENDED


@dataclass(frozen=True)
class IndexPartition:
    """A partition of an index; its entries are sort keys, `<time>#<run id>`.

    Only entries from `low` to `high` belong to the list. `same_length` is a list with the same
    number of entries that may be cheaper to count.
    """

    index: str
    partition_key: str
    partition: str
    sort_key: str = "started_key"
    only_grows: bool = True
    same_length: "IndexPartition | None" = None
    low: str = FIRST
    high: str = LAST

    @property
    def whole(self) -> "IndexPartition":
        """Return the list of all entries of the partition."""
        return replace(self, low=FIRST, high=LAST)


@dataclass(frozen=True)
class Segment:
    """A part of the result: lists merged by time, ascending or descending.

    With `has_ties`, runs of the same time are sorted by all fields, otherwise by id.
    """

    lists: tuple[IndexPartition, ...]
    descending: bool
    has_ties: bool


def planned_segments(run_filter: RunFilter, fields: tuple[str, ...]) -> list[Segment] | None:
    """Return the list as segments of indexes, or None if no index has this order.

    `fields` contains `started_at`, ascending or descending.
    """
    names = [field.removeprefix("-") for field in fields]
    sorts_by_end = "ended_at" in names[: names.index("started_at")]
    groups = groups_of(replace(run_filter, statuses=frozenset()))
    if not groups:
        if run_filter.limits_start if sorts_by_end else run_filter.ended_after is not None:
            return None
        return list(_by_status(run_filter, run_filter.listed_statuses, fields))
    is_single = len(groups) == 1 and not run_filter.statuses and run_filter.ended_after is None
    if not is_single or names[0] != "started_at":
        return None
    return [Segment(groups[0], fields[0].startswith("-"), has_ties=len(fields) > 1)]


def _by_status(
    run_filter: RunFilter, statuses: frozenset[str], fields: tuple[str, ...]
) -> Iterator[Segment]:
    field, rest = fields[0], fields[1:]
    descending = field.startswith("-")
    if field.removeprefix("-") == "started_at":
        yield Segment(by_start(run_filter, statuses), descending, has_ties=bool(rest))
    elif field.removeprefix("-") == "status":
        for status in sorted(statuses, reverse=descending):
            yield from _by_status(run_filter, frozenset({status}), rest)
    else:
        ended = lists_by_end(run_filter, statuses)
        active = statuses - ENDED
        parts: list[Iterable[Segment]] = [
            [Segment(ended, descending, has_ties=True)] if ended else [],
            _by_status(run_filter, active, rest) if active else [],
        ]
        yield from chain(*(reversed(parts) if descending else parts))


def groups_of(run_filter: RunFilter) -> list[tuple[IndexPartition, ...]]:
    """Return, for each condition of the filter, the lists that together contain its runs.

    The lists are sorted by start, and have the limits of the start. `ended_after` is no condition
    here.
    """
    conditions = (
        (keys.RUNS_BY_SESSION_INDEX, "session_key", run_filter.session_id),
        (keys.RUNS_BY_USER_INDEX, "user_key", run_filter.user_id),
        (keys.RUNS_BY_AGENT_INDEX, "agent_key", run_filter.agent),
    )
    listed = _listed_by_start(run_filter)
    groups: list[tuple[IndexPartition, ...]] = [
        (listed(index, key, keys.scoped(run_filter.project_id, value)),)
        for index, key, value in conditions
        if value is not None
    ]
    if run_filter.statuses:
        groups.append(by_start(run_filter, run_filter.statuses))
    return groups


def _listed_by_start(run_filter: RunFilter) -> partial[IndexPartition]:
    return partial(IndexPartition, low=run_filter.started_after, high=run_filter.started_before)


def by_start(run_filter: RunFilter, statuses: frozenset[str]) -> tuple[IndexPartition, ...]:
    """Return the lists of the project's runs with these statuses, sorted by start."""
    listed, project = _listed_by_start(run_filter), run_filter.project_id
    if statuses == frozenset(API_STATUSES):
        return (listed(keys.RUNS_BY_PROJECT_INDEX, "project_id", project),)
    return tuple(
        listed(
            keys.RUNS_BY_STATUS_INDEX,
            "status_key",
            keys.scoped(project, status),
            only_grows=False,
            same_length=(
                None if run_filter.limits_start or status not in ENDED else by_end(project, status)
            ),
        )
        for status in sorted(statuses)
    )


def lists_by_end(run_filter: RunFilter, statuses: frozenset[str]) -> tuple[IndexPartition, ...]:
    """Return the lists of the project's runs that ended with these statuses, sorted by end.

    A run ends after its start, so a limit of the start also limits the end.
    """
    low = max(run_filter.ended_after or FIRST, run_filter.started_after)
    return tuple(by_end(run_filter.project_id, status, low) for status in sorted(statuses & ENDED))


def append_only_lists(run_filter: RunFilter, status: str) -> list[IndexPartition]:
    """Return the lists with markers that contain a run with this final status permanently.

    `run_filter` has the run's project, agent, user and session.
    """
    return [
        *by_start(run_filter, frozenset(API_STATUSES)),
        by_end(run_filter.project_id, status),
        *chain.from_iterable(groups_of(run_filter)),
    ]


def by_end(project: str, status: str, low: str = FIRST) -> IndexPartition:
    """Return the list of runs that ended with this status, sorted by end, from `low`."""
    return IndexPartition(
        keys.RUNS_BY_END_INDEX, "status_key", keys.scoped(project, status), "ended_key", low=low
    )
