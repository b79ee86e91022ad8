"""The keys of the records table: every kind of item, in one place.

| item                 | pk                                | sk                 |
|----------------------|-----------------------------------|--------------------|
| run                  | RUN#<run id>                      | RUN                |
| pause (task token)   | RUN#<run id>                      | PAUSE              |
| input request        | RUN#<run id>                      | REQUEST#<id>       |
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
| open-runs          | sweep_shard   | sweep_at         | active runs, and runs with a hold       |
| runs-by-project    | project_id    | started_key      | all runs                                |
| runs-by-user       | user_key      | started_key      | runs with a user                        |
| runs-by-session    | session_key   | started_key      | runs with a session                     |
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
RUNS_BY_STATUS_INDEX = "runs-by-status"
RUNS_BY_END_INDEX = "runs-by-end"
OPEN_REQUESTS_INDEX = "open-requests"
THREADS_BY_PROJECT_INDEX = "threads-by-project"
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


def listed_access_key(key_id: str) -> Key:
    """The hash of the access key that has this id; all of them share one partition."""
    return {"pk": LISTED_ACCESS_KEYS, "sk": key_id}


def project(project_id: str) -> Key:
    """The organization that the project belongs to."""
    return {"pk": f"PROJECT#{project_id}", "sk": "PROJECT"}


def org_project(org_id: str, project_id: str) -> Key:
    """One project of the organization; all of them share one partition."""
    return {"pk": f"ORG#{org_id}", "sk": project_id}


def thread(thread_id: str) -> Key:
    """The thread's record."""
    return {"pk": f"THREAD#{thread_id}", "sk": "THREAD"}


def message(thread_id: str, sequence: int) -> Key:
    """The message at this place of the thread, from 1."""
    return {"pk": f"THREAD#{thread_id}", "sk": f"MESSAGE#{sequence:012d}"}


def thread_run(thread_id: str, started_at: str, run_id: str) -> Key:
    """What says that the run belongs to the thread; in order of time."""
    return {"pk": f"THREAD#{thread_id}", "sk": f"RUN#{time_sort_key(started_at, run_id)}"}


def spending(project_id: str, agent: str, day: str) -> str:
    """The name of the ledger of a project, or of an agent in it, for a day (`2026-11-24`)."""
    whose = scoped(project_id, agent) if agent else quote(project_id, safe="")
    return f"LEDGER#{whose}#{day}"


def ledger(name: str) -> Key:
    """What was spent, and is held, of a day."""
    return {"pk": name, "sk": "LEDGER"}


def hold(run_id: str) -> Key:
    """What the run holds of a day's money for its next reply."""
    return {"pk": f"RUN#{run_id}", "sk": "HOLD"}


def idempotency(digest: str) -> Key:
    """What was asked, and answered, under an Idempotency-Key."""
    return {"pk": f"IDEMPOTENCY#{digest}", "sk": "IDEMPOTENCY"}


def mark(index: str, partition: str, place: int, every: int) -> Key:
    """The mark at this place of a list that is marked `every` so many places."""
    return {"pk": f"MARKERS#{every}#{index}#{partition}", "sk": f"{place:012d}"}


def changed_list(index: str, partition: str, every: int) -> Key:
    """When entries last went from the list; behind all of its marks."""
    return {"pk": f"MARKERS#{every}#{index}#{partition}", "sk": CHANGED}


def scoped(project_id: str, name: str) -> str:
    """A partition inside a project: no two pairs have the same one."""
    return f"{quote(project_id, safe='')}#{name}"


def time_sort_key(at: str, run_id: str) -> str:
    """A sort key that is in order of time, and total."""
    return f"{at}#{run_id}"


def run_id_of(entry: str) -> str:
    """The run of such a sort key."""
    return entry.partition("#")[2]


def file(project_id: str, file_id: str) -> Key:
    """A file of the project: in no other one can its id be found."""
    return {"pk": f"FILE#{project_id}#{file_id}", "sk": "FILE"}


def webhook(project_id: str, webhook_id: str) -> Key:
    """An endpoint of the project; all of them share one partition."""
    return {"pk": f"WEBHOOKS#{project_id}", "sk": webhook_id}


def webhook_secrets(webhook_id: str) -> Key:
    """What the endpoint's deliveries are signed with."""
    return {"pk": f"WEBHOOK#{webhook_id}", "sk": "SECRETS"}


def webhook_delivery(webhook_id: str, delivery_id: str) -> Key:
    """A delivery to the endpoint; its id is in order of time."""
    return {"pk": f"DELIVERIES#{webhook_id}", "sk": delivery_id}


def sweep_shard(run_id: str) -> str:
    """The partition of `open-runs` that the run is found in."""
    return shard_name(int(run_id.replace("-", "")[-4:], 16) % OPEN_RUN_SHARDS)


def shard_name(number: int) -> str:
    """The partition of this number."""
    return f"OPEN#{number}"


def without_keys(item: dict[str, Any]) -> dict[str, Any]:
    """The item's own fields."""
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
