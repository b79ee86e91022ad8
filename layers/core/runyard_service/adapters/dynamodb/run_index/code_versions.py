"""The versions of own code that open runs use.

One query of the index of open runs, which has only keys, and one read of each open run's record:
half a read unit per run in the index, and one per 4 KB of a record. Ended runs cost nothing.
"""

from dataclasses import dataclass

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table


@dataclass(frozen=True)
class VersionInUse:
    """A published version of a function, the number of its open runs, and the oldest of them."""

    function: str
    version: str
    runs: int
    oldest_run: str
    oldest_start: str


class CodeVersions:
    """The versions in the records of open runs: `code_version` is `{function}:{version}`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def in_use(self) -> list[VersionInUse]:
        """Return the versions that open runs use, by function, the oldest version first."""
        starts: dict[str, list[tuple[str, str]]] = {}
        fields = ("id", "started_at", "ended_at", "code_version")
        for item in self._table.batch_get([keys.run(id_) for id_ in self._open_ids()], fields):
            if "code_version" in item and not item.get("ended_at"):
                found = starts.setdefault(item["code_version"], [])
                found.append((item["started_at"], item["id"]))
        versions = []
        for name, runs in starts.items():
            function, _, version = name.rpartition(":")
            oldest_start, oldest_run = min(runs)
            versions.append(VersionInUse(function, version, len(runs), oldest_run, oldest_start))
        return sorted(versions, key=lambda each: (each.function, len(each.version), each.version))

    def _open_ids(self) -> list[str]:
        ids = {
            item["pk"].partition("#")[2]
            for shard in range(keys.OPEN_RUN_SHARDS)
            for item in self._table.query(
                "#sweep_shard = :sweep_shard",
                {":sweep_shard": keys.shard_name(shard)},
                index=keys.OPEN_RUNS_INDEX,
            )
            if item["pk"].startswith(keys.run("")["pk"])
        }
        return sorted(ids)
