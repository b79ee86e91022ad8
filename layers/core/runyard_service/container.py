"""The composition root: build stores, API, worker and senders from settings and boto3.

A process has one `Container`, which builds each part at first use and caches it. Methods import the
parts that not every function uses, so a cold start loads only what its function needs.
"""

import logging
import os
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from runyard_service.adapters.aws_session import session_lock
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
    from fastapi import FastAPI
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_stepfunctions import SFNClient

    from runyard_service.agents.definitions.models import Snapshot
    from runyard_service.agents.definitions.source import AgentDirectory
    from runyard_service.agents.models.base import Model
    from runyard_service.api.services import Services
    from runyard_service.application.steps.run_context import WorkerDeps
    from runyard_service.application.webhooks.deliver_webhook import WebhookSender
    from runyard_service.application.webhooks.publish_events import Publisher
    from runyard_service.observability.spans import Span
    from runyard_service.outbound.circuit_breaker import CircuitBreakers

_log = logging.getLogger(__name__)

# Timeouts are short and retries are quick: a caller waits, and the state machine retries a failed
# step. The pool serves the local stack, where one process handles many invocations at once.
_CLIENT_CONFIG = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=100,
    # The user agent and parameter checks take a third of a call's processor time. DynamoDB checks
    # parameters itself.
    user_agent="runyard",
    parameter_validation=False,
)
# Without these, boto3 signs presigned posts in a way that newer buckets reject, and names an
# address that redirects to the bucket's region.
S3_CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})


class Container:
    """The parts of this installation. Each attribute is built at first use."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    @cached_property
    def settings(self) -> Settings:
        """The settings of this process. Nothing reads them while a function imports its code."""
        return settings()

    @cached_property
    def stores(self) -> Stores:
        """The stores of this installation."""
        with session_lock() as session:
            dynamodb = session.client("dynamodb", config=_CLIENT_CONFIG)
        return Stores.create(
            dynamodb,
            Bucket(self.settings.bucket, self._connect_s3),
            events_table=self.settings.events_table,
            records_table=self.settings.records_table,
        )

    @cached_property
    def orchestrator(self) -> Orchestrator:
        """The state machines that this function's settings name."""
        return Orchestrator(
            lambda: self._step_functions,
            self.settings.run_state_machine_arn,
            self.settings.resume_state_machine_arn,
        )

    def next_execution_starter(self, resume_state_machine_arn: str = "") -> Orchestrator:
        """Return the state machines for a function that a state machine invokes.

        Such a function cannot have the ARN as a setting, because CloudFormation would see a
        circular dependency. The event contains it.
        """
        return Orchestrator(
            lambda: self._step_functions, resume_state_machine_arn=resume_state_machine_arn
        )

    @cached_property
    def delivery_queue(self) -> DeliveryQueue:
        """The queue of webhook deliveries. Most requests do not need it."""
        with session_lock() as session:
            client = session.client("sqs", config=_CLIENT_CONFIG)
        return DeliveryQueue(
            client,
            self.settings.webhook_queue_url,
            self.settings.webhook_dead_letter_queue_url,
        )

    @cached_property
    def retention(self) -> Retention:
        """The rules for deleting ended runs and inactive threads."""
        return Retention(self.stores, self.settings.retention_days)

    @cached_property
    def services(self) -> "Services":
        """The dependencies of the API's routes."""
        from runyard_service.agents.registry import Registry
        from runyard_service.api.services import Services

        published = self.settings.agents_object_key
        return Services(
            settings=self.settings,
            stores=self.stores,
            orchestrator=self.orchestrator,
            catalog=Registry(self.agent_bundle if published else self.agents_folder),
            ticket_keys=TicketKeys(self._connect_secrets, self.settings.ticket_secret_id),
            connect_delivery_queue=lambda: self.delivery_queue,
        )

    def create_app(self) -> "FastAPI":
        """Return the API's ASGI app. It connects to AWS at its first request."""
        from runyard_service.api.app import create_app

        return create_app(lambda: self.services)

    @property
    def agents_folder(self) -> "AgentDirectory":
        """The agents' files on this machine."""
        from runyard_service.agents.definitions.source import AgentDirectory

        return AgentDirectory(Path(self.settings.agents_dir))

    @cached_property
    def agent_bundle(self) -> AgentBundle:
        """The published agents of this installation."""
        return AgentBundle(
            Bucket(self.settings.bucket, self._connect_s3_for_agents),
            key=self.settings.agents_object_key or BUNDLE_KEY,
            refresh_seconds=self.settings.agents_refresh_seconds,
        )

    @cached_property
    def worker(self) -> "WorkerDeps":
        """The dependencies of `advance_run`."""
        from runyard_service.agents.tools.base import ToolEnvironment
        from runyard_service.application.steps.run_context import WorkerDeps

        configured, export_spans = self.settings, self._span_exporter()
        return WorkerDeps(
            stores=self.stores,
            model_for=self._model_for,
            tools=ToolEnvironment(
                configured.agent_variables, configured.http_allowed_private_hosts, self._circuits
            ),
            read_secret=self._secret,
            flush_seconds=configured.delta_flush_ms / 1000,
            reserve_seconds=configured.step_reserve_seconds,
            project_daily_usd=configured.project_daily_usd,
            agent_function_prefix=configured.agent_function_prefix,
            export_spans=export_spans,
            shows_content=(
                export_spans is not None
                and configured.otel_instrumentation_genai_capture_message_content
            ),
        )

    @cached_property
    def publisher(self) -> "Publisher":
        """The publisher of events to the event bus and to webhooks."""
        from runyard_service.application.webhooks.publish_events import Publisher

        with session_lock() as session:
            client = session.client("events", config=_CLIENT_CONFIG)
        bus = EventBus(client, self.settings.event_bus)
        return Publisher(self.stores, bus, self.delivery_queue)

    @cached_property
    def webhook_sender(self) -> "WebhookSender":
        """The sender of webhook deliveries."""
        from runyard_service.application.webhooks.deliver_webhook import WebhookSender

        return WebhookSender(
            stores=self.stores,
            queue=self.delivery_queue,
            timeout_seconds=self.settings.webhook_timeout_seconds,
            pauses=self.settings.webhook_retry_seconds,
            private_hosts=self.settings.webhook_allowed_private_hosts,
        )

    def _secret(self, secret_id: str) -> str:
        """Return the text of a secret. A process reads each secret once."""
        if secret_id not in self._secrets:
            response = self._connect_secrets().get_secret_value(SecretId=secret_id)
            self._secrets[secret_id] = response["SecretString"]
        return self._secrets[secret_id]

    @cached_property
    def _step_functions(self) -> "SFNClient":
        with session_lock() as session:
            return session.client("stepfunctions", config=_CLIENT_CONFIG)

    def _connect_secrets(self) -> "SecretsManagerClient":
        with session_lock() as session:
            return session.client("secretsmanager", config=_CLIENT_CONFIG)

    def _connect_s3(self) -> "S3Client":
        with session_lock() as session:
            return session.client("s3", config=_CLIENT_CONFIG.merge(S3_CONFIG))

    def _connect_s3_for_agents(self) -> "S3Client":
        # A request waits for this although its process has agents already, so it must fail soon.
        fail_fast = Config(read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
        with session_lock() as session:
            return session.client("s3", config=_CLIENT_CONFIG.merge(fail_fast))

    def _span_exporter(self) -> "Callable[[Sequence[Span]], None] | None":
        """Return the function that sends spans to the collector, or None without a collector."""
        if not self.settings.otel_exporter_otlp_endpoint:
            return None
        from runyard_service.observability.otlp import OtlpExporter, headers_of

        return OtlpExporter(
            self.settings.otel_exporter_otlp_endpoint,
            headers=lambda: headers_of(self._otlp_headers()),
            resource={
                "service.name": "runyard",
                "deployment.environment.name": self.settings.stage,
            },
        )

    def _otlp_headers(self) -> str:
        secret_id = self.settings.otel_exporter_otlp_headers_secret
        try:
            return self._secret(secret_id) if secret_id else ""
        except (ClientError, BotoCoreError):
            # The collector then rejects the spans. Runs do not depend on it.
            _log.exception("headers of the collector not read")
            return ""

    @cached_property
    def _circuits(self) -> "CircuitBreakers":
        """The circuit breakers of this process, for providers and tools."""
        from runyard_service.outbound.circuit_breaker import CircuitBreakers

        return CircuitBreakers()

    def _model_for(self, snapshot: "Snapshot") -> "Model":
        from runyard_service.agents.models.circuit_breaker_model import CircuitBreakerModel
        from runyard_service.agents.models.factory import model_for

        route = snapshot.route
        api_key = None
        if route.api_key_secret:
            api_key = self._secret(route.api_key_secret)
        elif route.api_key_variable:
            api_key = os.environ.get(route.api_key_variable)
        model = model_for(route, snapshot.script, api_key, self.settings.agent_variables)
        if route.provider == "scripted":
            return model  # Its script decides when it fails, so other runs are not affected.
        # A provider is often overloaded for one of its models only.
        name = f"{route.model} at {route.base_url or route.region or 'its own address'}"
        return CircuitBreakerModel(model, self._circuits.of(name))


@lru_cache(maxsize=1)
def container() -> Container:
    """Return this process's container."""
    return Container()


def preload_models() -> None:
    """Import the model providers while the function starts, so its first run does not wait.

    A starting function has a whole processor for ten seconds, at any memory size. Later it has a
    share in proportion to its memory (Serverless Land, "Effectively running Java on Serverless").
    Other processes gain nothing, and `preload_providers` is empty there.
    """
    if providers := Settings.from_environment().preload_providers:
        from runyard_service.agents.models.providers.clients import preload

        preload(providers)
