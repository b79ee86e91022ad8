"""The keys of the records table: every kind of item, in one place.

| item                | pk                | sk                 |
|---------------------|-------------------|--------------------|
| run                 | RUN#<run id>      | RUN                |
| pause (task token)  | RUN#<run id>      | PAUSE              |
| input request       | RUN#<run id>      | REQUEST#<id>       |
| definition snapshot | DEFINITION#<hash> | DEFINITION         |
| access key          | KEY#<hash>        | KEY                |

Index `open-runs` (sparse): runs that have not ended, by the time when the sweep should look at
them.
"""

from typing import Any

from runyard.store.dynamo import Key

OPEN_RUNS_INDEX = "open-runs"
# The index is spread, so that starting many runs at once does not meet the 1,000 write units a
# second that one partition key takes.
OPEN_RUN_SHARDS = 8


def run(run_id: str) -> Key:
    """The run's record."""
    return {"pk": f"RUN#{run_id}", "sk": "RUN"}


def pause(run_id: str) -> Key:
    """Where the task token of the run's present wait is kept."""
    return {"pk": f"RUN#{run_id}", "sk": "PAUSE"}


def input_request(run_id: str, request_id: str) -> Key:
    """One question of the run."""
    return {"pk": f"RUN#{run_id}", "sk": f"REQUEST#{request_id}"}


def definition(digest: str) -> Key:
    """The snapshot of an agent that runs started with."""
    return {"pk": f"DEFINITION#{digest}", "sk": "DEFINITION"}


def access_key(key_hash: str) -> Key:
    """What an access key may do."""
    return {"pk": f"KEY#{key_hash}", "sk": "KEY"}


def open_shard(run_id: str) -> str:
    """The partition of `open-runs` that the run is found in."""
    return shard_name(int(run_id.replace("-", "")[-4:], 16) % OPEN_RUN_SHARDS)


def shard_name(number: int) -> str:
    """The partition of this number."""
    return f"OPEN#{number}"


def without_keys(item: dict[str, Any]) -> dict[str, Any]:
    """The item's own fields."""
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
