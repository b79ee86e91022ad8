"""The composition root: from settings and boto3 to stores, orchestrator, worker and web services.

Each function asks for what it needs, once per process; the heavy parts are imported only by those
that use them.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from runyard_service.adapters.aws_session import connecting
from runyard_service.adapters.eventbridge import EventBus
from runyard_service.adapters.s3.agent_bundle import BUNDLE_KEY, AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.secrets import TicketKeys
from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.adapters.stores import Stores
from runyard_service.application.maintenance.retention import Retention
from runyard_service.settings import Settings, settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_stepfunctions import SFNClient

    from runyard_service.agents.definitions.models import Snapshot
    from runyard_service.agents.definitions.source import FolderOfAgents
    from runyard_service.agents.models.base import Model
    from runyard_service.agents.registry import Catalog
    from runyard_service.application.steps.run_context import WorkerDeps
    from runyard_service.application.streams.follow_events import FollowedRuns
    from runyard_service.application.webhooks.deliver_webhook import Courier
    from runyard_service.application.webhooks.publish_events import Publisher
    from runyard_service.observability.spans import Span
    from runyard_service.outbound.circuit_breaker import Circuits

_log = logging.getLogger(__name__)

# Short timeouts and a few quick retries: a caller waits, and the state machine retries a step
# anyway. The pool is for the local stack, where one process serves many invocations at once.
_CLIENT_CONFIG = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=100,
    # A third of a call's processor time: describing boto3 and its settings in each call anew, and
    # checking what DynamoDB checks again.
    user_agent="runyard",
    parameter_validation=False,
)
# For the presigned posts: without these they are signed in the way that newer buckets refuse, and
# name an address that redirects to the bucket's region.
S3_CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})


@lru_cache(maxsize=1)
def connect() -> Stores:
    """The stores of this installation."""
    configured = settings()
    with connecting() as session:
        dynamodb = session.client("dynamodb", config=_CLIENT_CONFIG)
    return Stores.create(
        dynamodb,
        Bucket(configured.bucket, _s3),
        events_table=configured.events_table,
        records_table=configured.records_table,
    )


def _s3() -> "S3Client":
    with connecting() as session:
        return session.client("s3", config=_CLIENT_CONFIG.merge(S3_CONFIG))


@lru_cache(maxsize=1)
def orchestrator() -> Orchestrator:
    """The state machines of this installation, as far as this function is told of them."""
    configured = settings()
    return Orchestrator(
        _step_functions, configured.run_state_machine_arn, configured.resume_state_machine_arn
    )


@lru_cache(maxsize=2)  # On one machine a process is every function, and goes on in both ways.
def going_on(resume_state_machine_arn: str = "") -> Orchestrator:
    """For what a machine calls: that cannot be told of it by its settings, for it is made first."""
    return Orchestrator(_step_functions, resume_state_machine_arn=resume_state_machine_arn)


def _step_functions() -> "SFNClient":
    with connecting() as session:
        return session.client("stepfunctions", config=_CLIENT_CONFIG)


@lru_cache(maxsize=1)
def delivery_queue() -> DeliveryQueue:
    """The queue of deliveries to webhooks, connected at first use: most requests need none."""
    configured = settings()
    with connecting() as session:
        client = session.client("sqs", config=_CLIENT_CONFIG)
    return DeliveryQueue(
        client,
        configured.webhook_queue_url,
        configured.webhook_dead_letter_queue_url,
    )


@lru_cache(maxsize=1)
def retention() -> Retention:
    """How long this installation keeps what has ended."""
    return Retention(connect(), settings().retention_days)


@lru_cache(maxsize=32)
def secret(secret_id: str) -> str:
    """A secret's text, read once per process."""
    return _secrets().get_secret_value(SecretId=secret_id)["SecretString"]


def _secrets() -> "SecretsManagerClient":
    with connecting() as session:
        return session.client("secretsmanager", config=_CLIENT_CONFIG)


@dataclass(frozen=True)
class Services:
    """What the web app stands on."""

    settings: Settings
    stores: Stores
    orchestrator: Orchestrator
    catalog: "Catalog"
    ticket_keys: TicketKeys
    """What stream tickets are signed with."""
    delivery_queue: Callable[[], DeliveryQueue] = delivery_queue
    """Where deliveries to webhooks are put."""

    @cached_property
    def followed_runs(self) -> "FollowedRuns":
        """The runs that this process's readers follow."""
        from runyard_service.application.streams.follow_events import FollowedRuns
        from runyard_service.application.streams.tail import TailPace

        pace = TailPace(self.settings.poll_min_ms / 1000, self.settings.poll_max_ms / 1000)
        return FollowedRuns(self.stores.log, pace)


@lru_cache(maxsize=1)
def services() -> Services:
    """What the web app stands on, of this installation."""
    from runyard_service.agents.registry import Catalog

    configured = settings()
    return Services(
        settings=configured,
        stores=connect(),
        orchestrator=orchestrator(),
        catalog=Catalog(agent_bundle() if configured.agents_object_key else agents_folder()),
        ticket_keys=TicketKeys(_secrets, configured.ticket_secret_id),
    )


def agents_folder() -> "FolderOfAgents":
    """The agents' files on this machine: the ones to publish, or to read where none are."""
    from runyard_service.agents.definitions.source import FolderOfAgents

    return FolderOfAgents(Path(settings().agents_dir))


@lru_cache(maxsize=1)
def agent_bundle() -> AgentBundle:
    """The published agents of this installation."""
    configured = settings()
    return AgentBundle(
        Bucket(configured.bucket, _s3_for_agents),
        key=configured.agents_object_key or BUNDLE_KEY,
        refresh_seconds=configured.agents_refresh_seconds,
    )


def _s3_for_agents() -> "S3Client":
    # Asked for in the middle of a request, which has agents already, if perhaps not the newest.
    quickly = Config(read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
    with connecting() as session:
        return session.client("s3", config=_CLIENT_CONFIG.merge(quickly))


def preload_models() -> None:
    """Import, while the function starts, what its first run would have to wait for.

    A function that starts has a whole processor of Lambda's, for ten seconds and whatever its
    memory; one that runs has the share that its memory buys (Serverless Land, "Effectively running
    Java on Serverless"). Elsewhere there is nothing to gain, and `preload_providers` is empty.
    """
    if providers := Settings.from_environment().preload_providers:
        from runyard_service.agents.models.provider_clients import preload

        preload(providers)


@lru_cache(maxsize=1)
def worker() -> "WorkerDeps":
    """What carries runs, of this installation."""
    from runyard_service.agents.tools.base import ToolEnvironment
    from runyard_service.application.steps.run_context import WorkerDeps

    configured, export_spans = settings(), _span_exporter()
    return WorkerDeps(
        stores=connect(),
        model_for=_model_for,
        tools=ToolEnvironment(
            configured.agent_variables, configured.http_allowed_private_hosts, _circuits()
        ),
        flush_seconds=configured.delta_flush_ms / 1000,
        reserve_seconds=configured.step_reserve_seconds,
        project_daily_usd=configured.project_daily_usd,
        export_spans=export_spans,
        shows_content=(
            export_spans is not None
            and configured.otel_instrumentation_genai_capture_message_content
        ),
    )


def _span_exporter() -> "Callable[[Sequence[Span]], None] | None":
    """Where spans go, if anybody wants them."""
    configured = settings()
    if not configured.otel_exporter_otlp_endpoint:
        return None
    from runyard_service.observability.otlp import OtlpExporter, headers_of

    return OtlpExporter(
        configured.otel_exporter_otlp_endpoint,
        headers=lambda: headers_of(_otlp_headers()),
        resource={"service.name": "runyard", "deployment.environment.name": configured.stage},
    )


def _otlp_headers() -> str:
    secret_id = settings().otel_exporter_otlp_headers_secret
    try:
        return secret(secret_id) if secret_id else ""
    except (ClientError, BotoCoreError):
        # The collector refuses what comes without, and no run is the worse for it.
        _log.exception("headers of the collector not read")
        return ""


@lru_cache(maxsize=1)
def publisher() -> "Publisher":
    """What tells of events, of this installation."""
    from runyard_service.application.webhooks.publish_events import Publisher

    with connecting() as session:
        client = session.client("events", config=_CLIENT_CONFIG)
    return Publisher(connect(), EventBus(client, settings().event_bus), delivery_queue())


@lru_cache(maxsize=1)
def courier() -> "Courier":
    """What delivers to webhooks, of this installation."""
    from runyard_service.application.webhooks.deliver_webhook import Courier

    configured = settings()
    return Courier(
        stores=connect(),
        queue=delivery_queue(),
        timeout_seconds=configured.webhook_timeout_seconds,
        pauses=configured.webhook_retry_seconds,
        private_hosts=configured.webhook_allowed_private_hosts,
    )


@lru_cache(maxsize=1)
def _circuits() -> "Circuits":
    """What this process knows of providers and tools that fail."""
    from runyard_service.outbound.circuit_breaker import Circuits

    return Circuits()


def _model_for(snapshot: "Snapshot") -> "Model":
    from runyard_service.agents.models.circuit_breaker_model import GuardedModel
    from runyard_service.agents.models.factory import model_for

    route = snapshot.route
    api_key = None
    if route.api_key_secret:
        api_key = secret(route.api_key_secret)
    elif route.api_key_variable:
        api_key = os.environ.get(route.api_key_variable)
    model = model_for(route, snapshot.script, api_key)
    if route.provider == "scripted":
        return model  # It fails because its script says so, for nobody else.
    # Where a provider is overloaded, it often is so for one of its models.
    name = f"{route.model} at {route.base_url or route.region or 'its own address'}"
    return GuardedModel(model, _circuits().of(name))
