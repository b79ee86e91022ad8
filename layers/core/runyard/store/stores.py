"""All stores of one installation, over one DynamoDB client and one bucket."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runyard.store.access_keys import AccessKeys
from runyard.store.beginnings import Beginnings
from runyard.store.bucket import Bucket
from runyard.store.checkpoints import Checkpoints
from runyard.store.definitions import Definitions
from runyard.store.deleted_runs import DeletedRuns
from runyard.store.event_log import EventLog
from runyard.store.files import Files
from runyard.store.histories import Histories
from runyard.store.idempotency import Idempotency
from runyard.store.input_requests import InputRequests
from runyard.store.list_marks import ListMarks
from runyard.store.live_runs import LiveRuns
from runyard.store.messages import Messages
from runyard.store.payloads import Payloads
from runyard.store.project_caps import ProjectCaps
from runyard.store.retention_days import RetentionDays
from runyard.store.run_lists import RunLists
from runyard.store.runs import Runs
from runyard.store.spending import Spending
from runyard.store.table import Table
from runyard.store.threads import Threads
from runyard.store.webhook_deliveries import WebhookDeliveries
from runyard.store.webhooks import Webhooks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Stores:
    """What is kept, by kind."""

    log: EventLog
    histories: Histories
    runs: Runs
    deleted_runs: DeletedRuns
    run_lists: RunLists
    live_runs: LiveRuns
    threads: Threads
    messages: Messages
    input_requests: InputRequests
    definitions: Definitions
    access_keys: AccessKeys
    project_caps: ProjectCaps
    retention_days: RetentionDays
    spending: Spending
    files: Files
    idempotency: Idempotency
    webhooks: Webhooks
    webhook_deliveries: WebhookDeliveries

    @classmethod
    def create(
        cls,
        dynamodb: "DynamoDBClient",
        bucket: Bucket,
        *,
        events_table: str,
        records_table: str,
    ) -> "Stores":
        """The stores over this client and this bucket."""
        payloads = Payloads(bucket)
        records = Table(dynamodb, records_table)
        threads = Threads(records, payloads)
        events = Table(dynamodb, events_table)
        beginnings = Beginnings(events)
        runs = Runs(records, payloads, beginnings)
        log = EventLog(events, payloads)
        marks = ListMarks(records)
        checkpoints, files = Checkpoints(bucket), Files(records, bucket)
        return cls(
            log=log,
            histories=Histories(log, checkpoints, runs),
            runs=runs,
            deleted_runs=DeletedRuns(records, events, payloads, checkpoints, files, marks),
            run_lists=RunLists(records, marks, beginnings),
            live_runs=LiveRuns(records),
            threads=threads,
            messages=Messages(records, payloads, threads),
            input_requests=InputRequests(records, payloads, runs),
            definitions=Definitions(records),
            access_keys=AccessKeys(records),
            project_caps=ProjectCaps(records),
            retention_days=RetentionDays(records),
            spending=Spending(records, runs),
            files=files,
            idempotency=Idempotency(records, payloads),
            webhooks=Webhooks(records),
            webhook_deliveries=WebhookDeliveries(records),
        )
