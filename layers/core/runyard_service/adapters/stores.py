"""All stores of an installation, over one DynamoDB client and one bucket."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runyard_service.adapters.dynamodb.access_keys import AccessKeys
from runyard_service.adapters.dynamodb.agent_snapshots import Definitions
from runyard_service.adapters.dynamodb.event_log import EventLog
from runyard_service.adapters.dynamodb.files import Files
from runyard_service.adapters.dynamodb.idempotency import Idempotency
from runyard_service.adapters.dynamodb.input_requests import InputRequests
from runyard_service.adapters.dynamodb.messages import Messages
from runyard_service.adapters.dynamodb.projects import ProjectLimits, RetentionDays
from runyard_service.adapters.dynamodb.run_index.active_runs import ActiveRuns
from runyard_service.adapters.dynamodb.run_index.code_versions import CodeVersions
from runyard_service.adapters.dynamodb.run_index.position_markers import PositionMarkers
from runyard_service.adapters.dynamodb.run_index.run_lists import RunLists
from runyard_service.adapters.dynamodb.runs import Runs
from runyard_service.adapters.dynamodb.spending_ledger import Spending
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.dynamodb.threads import Threads
from runyard_service.adapters.dynamodb.usage.counters import UsageCounters
from runyard_service.adapters.dynamodb.usage.days import UsageDays
from runyard_service.adapters.dynamodb.webhooks import WebhookDeliveries, Webhooks
from runyard_service.adapters.history_cache import Histories
from runyard_service.adapters.run_deletion import DeletedRuns
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.s3.checkpoints import Checkpoints
from runyard_service.adapters.s3.payloads import Payloads

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True)
class Stores:
    """The stores, by kind of data."""

    log: EventLog
    histories: Histories
    runs: Runs
    deleted_runs: DeletedRuns
    run_lists: RunLists
    active_runs: ActiveRuns
    code_versions: CodeVersions
    threads: Threads
    messages: Messages
    input_requests: InputRequests
    definitions: Definitions
    access_keys: AccessKeys
    project_limits: ProjectLimits
    retention_days: RetentionDays
    spending: Spending
    usage_counters: UsageCounters
    usage_days: UsageDays
    files: Files
    payloads: Payloads
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
        """Create the stores over this client and this bucket."""
        payloads = Payloads(bucket)
        records = Table(dynamodb, records_table)
        threads = Threads(records, payloads)
        events = Table(dynamodb, events_table)
        runs = Runs(records, payloads)
        log = EventLog(events, payloads)
        markers = PositionMarkers(records)
        checkpoints, files = Checkpoints(bucket), Files(records, bucket)
        return cls(
            log=log,
            histories=Histories(log, checkpoints, runs),
            runs=runs,
            deleted_runs=DeletedRuns(records, events, payloads, checkpoints, files, markers),
            run_lists=RunLists(records, markers),
            active_runs=ActiveRuns(records),
            code_versions=CodeVersions(records),
            threads=threads,
            messages=Messages(records, payloads, threads),
            input_requests=InputRequests(records, payloads, runs),
            definitions=Definitions(records),
            access_keys=AccessKeys(records),
            project_limits=ProjectLimits(records),
            retention_days=RetentionDays(records),
            spending=Spending(records, runs),
            usage_counters=UsageCounters(records),
            usage_days=UsageDays(records),
            files=files,
            payloads=payloads,
            idempotency=Idempotency(records, payloads),
            webhooks=Webhooks(records),
            webhook_deliveries=WebhookDeliveries(records),
        )
