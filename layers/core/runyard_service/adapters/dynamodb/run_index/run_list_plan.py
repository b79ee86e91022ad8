"""Where the runs that are asked for stand: which indexes hold them, in what order.

Every run that has ended is also in a list to which entries are only ever added at its end
(`runs-by-end`), so that only live runs have to be counted one by one.
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
    """Which runs of a project are listed. Statuses are those that the API shows; none: all."""

    project_id: str
    statuses: frozenset[str] = frozenset()
    user_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True)
class IndexPartition:
    """One partition of one index; its entries are sort keys, `<time>#<run id>`.

    `same_length` is a list with as many entries that may be shorter to count.
    """

    index: str
    partition_key: str
    partition: str
    sort_key: str = "started_key"
    only_grows: bool = True
    same_length: "IndexPartition | None" = None


@dataclass(frozen=True)
class Segment:
    """A stretch of the answer: lists merged by time, one way or the other.

    Runs of the same moment are in the order of the whole sort where `has_ties`, else by id.
    """

    lists: tuple[IndexPartition, ...]
    descending: bool
    has_ties: bool


def planned_segments(wanted: RunFilter, fields: tuple[str, ...]) -> list[Segment] | None:
    """The list as stretches of indexes, or None where no index has it in this order."""
    if wanted.user_id is None and wanted.session_id is None:
        return list(
            _by_status(wanted.project_id, wanted.statuses or frozenset(API_STATUSES), fields)
        )
    groups = groups_of(wanted)
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
        live = statuses - ENDED
        parts: list[Iterable[Segment]] = [
            [Segment(ended, descending, has_ties=True)] if ended else [],
            _by_status(project, live, rest) if live else [],
        ]
        yield from chain(*(reversed(parts) if descending else parts))


def groups_of(wanted: RunFilter) -> list[tuple[IndexPartition, ...]]:
    """For each filter the lists that together hold what fits it."""
    project = wanted.project_id
    groups: list[tuple[IndexPartition, ...]] = []
    if wanted.session_id is not None:
        partition = keys.scoped(project, wanted.session_id)
        groups.append((IndexPartition(keys.RUNS_BY_SESSION_INDEX, "session_key", partition),))
    if wanted.user_id is not None:
        partition = keys.scoped(project, wanted.user_id)
        groups.append((IndexPartition(keys.RUNS_BY_USER_INDEX, "user_key", partition),))
    if wanted.statuses:
        groups.append(by_start(project, wanted.statuses))
    return groups


def by_start(project: str, statuses: frozenset[str]) -> tuple[IndexPartition, ...]:
    """The runs that are in these statuses, by start."""
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
    """The lists that a run which ended so stands in for good: those that have marks."""
    groups = groups_of(RunFilter(project, user_id=user_id, session_id=session_id))
    return [
        *by_start(project, frozenset(API_STATUSES)),
        by_end(project, status),
        *chain.from_iterable(groups),
    ]


def by_end(project: str, status: str) -> IndexPartition:
    """The runs that ended in this status, by end."""
    return IndexPartition(
        keys.RUNS_BY_END_INDEX, "status_key", keys.scoped(project, status), "ended_key"
    )
