"""The keys of all items of the records table.

| item                 | pk                                | sk                 |
|----------------------|-----------------------------------|--------------------|
| run                  | RUN#<run id>                      | RUN                |
| pause (task token)   | RUN#<run id>                      | PAUSE              |
| input request        | RUN#<run id>                      | REQUEST#<id>       |
| state of an MCP call | RUN#<run id>                      | CALL_STATE#<id>    |
| file of a tool       | RUN#<run id>                      | FILE#<id>          |
| hold on a ledger     | RUN#<run id>                      | HOLD               |
| definition snapshot  | DEFINITION#<hash>                 | DEFINITION         |
| access key           | KEY#<hash>                        | KEY                |
| access key, listed   | ACCESS_KEYS                       | <key id>           |
| project              | PROJECT#<id>                      | PROJECT            |
| organization project | ORG#<id>                          | <project id>       |
| thread               | THREAD#<id>                       | THREAD             |
| message of a thread  | THREAD#<id>                       | MESSAGE#<sequence> |
| run of a thread      | THREAD#<id>                       | RUN#<time>#<id>    |
| ledger of a day      | LEDGER#<project>[#<agent>]#<date> | LEDGER             |
| usage counter        | USAGE#<project>#<date>#<shard>    | <digest>           |
| receipt of a counted run | COUNTED#<run id>              | COUNTED            |
| idempotency record   | IDEMPOTENCY#<digest>              | IDEMPOTENCY        |
| file                 | FILE#<project>#<id>               | FILE               |
| webhook              | WEBHOOKS#<project>                | <id>               |
| secrets of a webhook | WEBHOOK#<id>                      | SECRETS            |
| webhook delivery     | DELIVERIES#<webhook id>           | <delivery id>      |
| position marker      | MARKERS#<list>                    | <position>         |
| last change of a list | MARKERS#<list>                   | CHANGED            |

The indexes hold keys only. An item without the sort key of an index is not in that index:

| index              | partition key | sort key         | contents                                |
|--------------------|---------------|------------------|-----------------------------------------|
| open-runs          | sweep_shard   | sweep_at         | active runs, runs with a hold, and      |
|                    |               |                  | webhook deliveries in a long pause      |
| runs-by-project    | project_id    | started_key      | all runs                                |
| runs-by-user       | user_key      | started_key      | runs with a user                        |
| runs-by-session    | session_key   | started_key      | runs with a session                     |
| runs-by-agent      | agent_key     | started_key      | all runs, by agent without version      |
| runs-by-status     | status_key    | started_key      | all runs, by the status in the API      |
| runs-by-end        | status_key    | ended_key        | ended runs                              |
| open-requests      | project_id    | request_sort_key | input requests that wait for an answer  |
| threads-by-project | project_id    | thread_key       | all threads                             |
"""

from typing import Any
from urllib.parse import quote

from runyard_service.adapters.dynamodb.attributes import Key

LISTED_ACCESS_KEYS = "ACCESS_KEYS"
CHANGED = "CHANGED"
OPEN_RUNS_INDEX = "open-runs"
RUNS_BY_PROJECT_INDEX = "runs-by-project"
RUNS_BY_USER_INDEX = "runs-by-user"
RUNS_BY_SESSION_INDEX = "runs-by-session"
RUNS_BY_AGENT_INDEX = "runs-by-agent"
RUNS_BY_STATUS_INDEX = "runs-by-status"
RUNS_BY_END_INDEX = "runs-by-end"
OPEN_REQUESTS_INDEX = "open-requests"
THREADS_BY_PROJECT_INDEX = "threads-by-project"
# Several partitions, because a partition key takes at most 1,000 write units a second. Many
# concurrent starts of runs would exceed this limit.
OPEN_RUN_SHARDS = 8
# Several items for each counter of usage, because an item takes one write at a time.
USAGE_SHARDS = 4


def run(run_id: str) -> Key:
    """Return the key of the run's record."""
    return {"pk": f"RUN#{run_id}", "sk": "RUN"}


def pause(run_id: str) -> Key:
    """Return the key of the item with the task token of the run's current wait."""
    return {"pk": f"RUN#{run_id}", "sk": "PAUSE"}


def input_request(run_id: str, request_id: str) -> Key:
    """Return the key of an input request of the run."""
    return {"pk": f"RUN#{run_id}", "sk": f"REQUEST#{request_id}"}


def call_state(run_id: str, call_id: str) -> Key:
    """Return the key of the state that an MCP server wants back with the answers to a call."""
    return {"pk": f"RUN#{run_id}", "sk": f"CALL_STATE#{call_id}"}


def returned_file(run_id: str, file_id: str) -> Key:
    """Return the key of the item that names a file of a tool of the run."""
    return {"pk": f"RUN#{run_id}", "sk": f"FILE#{file_id}"}


def returned_file_id(key: Key) -> str:
    """Return the id of the file that an item of a run names; empty for other items."""
    kind, _, file_id = str(key["sk"]).partition("#")
    return file_id if kind == "FILE" else ""


def definition(digest: str) -> Key:
    """Return the key of the snapshot of an agent."""
    return {"pk": f"DEFINITION#{digest}", "sk": "DEFINITION"}


def access_key(key_hash: str) -> Key:
    """Return the key of the access key's record."""
    return {"pk": f"KEY#{key_hash}", "sk": "KEY"}


def listed_access_key(key_id: str) -> Key:
    """Return the key of the list entry of an access key; all entries share one partition."""
    return {"pk": LISTED_ACCESS_KEYS, "sk": key_id}


def project(project_id: str) -> Key:
    """Return the key of the project's record, which names its organization."""
    return {"pk": f"PROJECT#{project_id}", "sk": "PROJECT"}


def org_project(org_id: str, project_id: str) -> Key:
    """Return the key of the organization's entry for a project; they share one partition."""
    return {"pk": f"ORG#{org_id}", "sk": project_id}


def thread(thread_id: str) -> Key:
    """Return the key of the thread's record."""
    return {"pk": f"THREAD#{thread_id}", "sk": "THREAD"}


def message(thread_id: str, sequence: int) -> Key:
    """Return the key of the thread's message with this sequence, from 1."""
    return {"pk": f"THREAD#{thread_id}", "sk": f"MESSAGE#{sequence:012d}"}


def thread_run(thread_id: str, started_at: str, run_id: str) -> Key:
    """Return the key of the thread's entry for a run. Entries are sorted by time."""
    return {"pk": f"THREAD#{thread_id}", "sk": f"RUN#{time_sort_key(started_at, run_id)}"}


def spending(project_id: str, agent: str, day: str) -> str:
    """Return the name of the ledger of a project or its agent for a day (`2026-11-24`)."""
    owner = scoped(project_id, agent) if agent else quote(project_id, safe="")
    return f"LEDGER#{owner}#{day}"


def ledger(name: str) -> Key:
    """Return the key of the ledger with this name."""
    return {"pk": name, "sk": "LEDGER"}


def hold(run_id: str) -> Key:
    """Return the key of the run's hold for the cost of its next response."""
    return {"pk": f"RUN#{run_id}", "sk": "HOLD"}


def usage(project_id: str, day: str, shard: int, digest: str) -> Key:
    """Return the key of a counter of the project for a day (`2026-11-24`)."""
    return {"pk": f"USAGE#{quote(project_id, safe='')}#{day}#{shard}", "sk": digest}


def usage_shard(run_id: str) -> int:
    """Return the number of the shard of the run's counter."""
    return int(run_id.replace("-", "")[-4:], 16) % USAGE_SHARDS


def usage_receipt(run_id: str) -> Key:
    """Return the key of the receipt of a run whose usage is counted."""
    return {"pk": f"COUNTED#{run_id}", "sk": "COUNTED"}


def run_id_of_receipt(key: Key) -> str:
    """Return the run id of the key of a receipt."""
    return str(key["pk"]).removeprefix("COUNTED#")


def idempotency(digest: str) -> Key:
    """Return the key of the record of an Idempotency-Key, by digest."""
    return {"pk": f"IDEMPOTENCY#{digest}", "sk": "IDEMPOTENCY"}


def position_marker(index: str, partition: str, position: int, interval: int) -> Key:
    """Return the key of the marker at a position of a list with a marker per `interval` entries."""
    return {"pk": f"MARKERS#{interval}#{index}#{partition}", "sk": f"{position:012d}"}


def changed_list(index: str, partition: str, interval: int) -> Key:
    """Return the key of the time of the list's last deletion. It sorts after all its markers."""
    return {"pk": f"MARKERS#{interval}#{index}#{partition}", "sk": CHANGED}


def scoped(project_id: str, name: str) -> str:
    """Return a partition key inside a project, unique for each pair."""
    return f"{quote(project_id, safe='')}#{name}"


def time_sort_key(at: str, run_id: str) -> str:
    """Return a unique sort key that sorts by time."""
    return f"{at}#{run_id}"


def run_id_of(entry: str) -> str:
    """Return the run id of a sort key from `time_sort_key`."""
    return entry.partition("#")[2]


def file(project_id: str, file_id: str) -> Key:
    """Return the key of a file. It contains the project, so other projects cannot find it."""
    return {"pk": f"FILE#{project_id}#{file_id}", "sk": "FILE"}


def webhook(project_id: str, webhook_id: str) -> Key:
    """Return the key of a webhook endpoint; the project's endpoints share one partition."""
    return {"pk": f"WEBHOOKS#{project_id}", "sk": webhook_id}


def webhook_secrets(webhook_id: str) -> Key:
    """Return the key of the secrets that sign the endpoint's deliveries."""
    return {"pk": f"WEBHOOK#{webhook_id}", "sk": "SECRETS"}


def webhook_delivery(webhook_id: str, delivery_id: str) -> Key:
    """Return the key of a delivery to the endpoint. Delivery ids sort by time."""
    return {"pk": f"DELIVERIES#{webhook_id}", "sk": delivery_id}


def sweep_shard(run_id: str) -> str:
    """Return the run's partition in the index `open-runs`."""
    return shard_name(int(run_id.replace("-", "")[-4:], 16) % OPEN_RUN_SHARDS)


def delivery_shard(delivery_id: str) -> str:
    """Return the delivery's partition in the index `open-runs`."""
    return delivery_shard_name(int(delivery_id.replace("-", "")[-4:], 16) % OPEN_RUN_SHARDS)


def delivery_shard_name(number: int) -> str:
    """Return the partition key of the deliveries in the shard with this number."""
    return f"DELIVERIES#{number}"


def shard_name(number: int) -> str:
    """Return the partition key of the shard with this number."""
    return f"OPEN#{number}"


def without_keys(item: dict[str, Any]) -> dict[str, Any]:
    """Return the item's fields without its keys."""
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
