"""Find the index partitions that contain the requested runs, and their order.

Every ended run is also in a list to which entries are only added at the end (`runs-by-end`). So
only active runs must be counted without markers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from runyard_service.adapters.dynamodb import keys
from runyard_service.domain.runs import ENDED

API_STATUSES = (*("created", "started", "paused", "awaiting_input"), *sorted(ENDED))
SORTABLE = ("started_at", "ended_at", "status")


@dataclass(frozen=True)
class RunFilter:
    """A filter of a project's runs. Statuses are statuses of the API; no statuses: all."""

    project_id: str
    statuses: frozenset[str] = frozenset()
    user_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True)
class IndexPartition:
    """A partition of an index; its entries are sort keys, `<time>#<run id>`.

    `same_length` is a list with the same number of entries that may be cheaper to count.
    """

    index: str
    partition_key: str
    partition: str
    sort_key: str = "started_key"
    only_grows: bool = True
    same_length: "IndexPartition | None" = None


@dataclass(frozen=True)
class Segment:
    """A part of the result: lists merged by time, ascending or descending.

    With `has_ties`, runs of the same time are sorted by all fields, otherwise by id.
    """

    lists: tuple[IndexPartition, ...]
    descending: bool
    has_ties: bool


def planned_segments(run_filter: RunFilter, fields: tuple[str, ...]) -> list[Segment] | None:
    """Return the list as segments of indexes, or None if no index has this order."""
    if run_filter.user_id is None and run_filter.session_id is None:
        statuses = run_filter.statuses or frozenset(API_STATUSES)
        return list(_by_status(run_filter.project_id, statuses, fields))
    groups = groups_of(run_filter)
    if len(groups) > 1 or fields[0].removeprefix("-") != "started_at":
        return None
    return [Segment(groups[0], fields[0].startswith("-"), has_ties=len(fields) > 1)]


def _by_status(
    project: str, statuses: frozenset[str], fields: tuple[str, ...]
) -> Iterator[Segment]:
    field, rest = fields[0], fields[1:]
    descending = field.startswith("-")
    if field.removeprefix("-") == "started_at":
        yield Segment(by_start(project, statuses), descending, has_ties=bool(rest))
    elif field.removeprefix("-") == "status":
        for status in sorted(statuses, reverse=descending):
            yield from _by_status(project, frozenset({status}), rest)
    else:
        ended = tuple(by_end(project, status) for status in sorted(statuses & ENDED))
        active = statuses - ENDED
        parts: list[Iterable[Segment]] = [
            [Segment(ended, descending, has_ties=True)] if ended else [],
            _by_status(project, active, rest) if active else [],
        ]
        yield from chain(*(reversed(parts) if descending else parts))


def groups_of(run_filter: RunFilter) -> list[tuple[IndexPartition, ...]]:
    """Return, for each condition of the filter, the lists that together contain its runs."""
    project = run_filter.project_id
    groups: list[tuple[IndexPartition, ...]] = []
    if run_filter.session_id is not None:
        partition = keys.scoped(project, run_filter.session_id)
        groups.append((IndexPartition(keys.RUNS_BY_SESSION_INDEX, "session_key", partition),))
    if run_filter.user_id is not None:
        partition = keys.scoped(project, run_filter.user_id)
        groups.append((IndexPartition(keys.RUNS_BY_USER_INDEX, "user_key", partition),))
    if run_filter.statuses:
        groups.append(by_start(project, run_filter.statuses))
    return groups


def by_start(project: str, statuses: frozenset[str]) -> tuple[IndexPartition, ...]:
    """Return the lists of runs with these statuses, sorted by start."""
    if statuses == frozenset(API_STATUSES):
        return (IndexPartition(keys.RUNS_BY_PROJECT_INDEX, "project_id", project),)
    return tuple(
        IndexPartition(
            keys.RUNS_BY_STATUS_INDEX,
            "status_key",
            keys.scoped(project, status),
            only_grows=False,
            same_length=by_end(project, status) if status in ENDED else None,
        )
        for status in sorted(statuses)
    )


def append_only_lists(
    project: str, status: str, user_id: str | None, session_id: str | None
) -> list[IndexPartition]:
    """Return the lists with markers that contain a run with this final status permanently."""
    groups = groups_of(RunFilter(project, user_id=user_id, session_id=session_id))
    return [
        *by_start(project, frozenset(API_STATUSES)),
        by_end(project, status),
        *chain.from_iterable(groups),
    ]


def by_end(project: str, status: str) -> IndexPartition:
    """Return the list of runs that ended with this status, sorted by end."""
    return IndexPartition(
        keys.RUNS_BY_END_INDEX, "status_key", keys.scoped(project, status), "ended_key"
    )
