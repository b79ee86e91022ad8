"""Every environment variable that Runyard reads, with its unit. Nothing is read at import.

The names are the fields' names in capitals. Each function's `template.yaml` environment is compared
with this model by a test.
"""

import os
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json


def _comma_list(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]
# No longer than SQS can put a message off, with the jitter on top.
SecondsList = Annotated[
    tuple[Annotated[float, Field(ge=0, le=36_000)], ...], BeforeValidator(_comma_list)
]

ProviderList = Annotated[
    tuple[Literal["openai", "anthropic", "bedrock"], ...], BeforeValidator(_comma_list)
]


class Settings(BaseModel):
    """The whole configuration of one function or of the local stack."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    stage: str = "dev"
    events_table: str = "runyard-events"
    records_table: str = "runyard-records"
    bucket: str = "runyard-bucket"
    run_state_machine_arn: str = ""
    resume_state_machine_arn: str = ""
    ticket_secret_id: str = ""

    agents_dir: str = Field("agents", description="Folder of agent definitions and routes.yaml.")
    agents_key: str = Field(
        "", description="S3 key of the agents that were published; empty: read `agents_dir`."
    )
    agents_refresh_seconds: float = Field(
        10, ge=0, description="How old the published agents of one process may be."
    )
    default_agent: str = Field("support_triage", description="Agent of a key that names none.")
    credits_per_usd: Decimal = Field(
        Decimal(1000), ge=0, description="Credits that one USD is, in `credits_used`."
    )
    default_persona: str = Field("assistant", description="Agent of a thread's run without one.")
    agent_variables: Json[dict[str, str]] = Field(
        default_factory=dict, description="Values for `${NAME}` in tool URLs and headers, as JSON."
    )
    preload_providers: ProviderList = Field(
        (), description="Providers of models that run_step imports while it starts."
    )
    http_private_hosts: CommaList = Field(
        (), description="host:port that http tools may reach though the address is private."
    )

    event_bus: str = Field("", description="Name of the bus on which runs are told of.")
    webhook_queue_url: str = Field("", description="Queue of the deliveries to webhooks.")
    webhook_dead_letter_queue_url: str = Field(
        "", description="Queue where deliveries go that were given up."
    )
    webhook_timeout_seconds: float = Field(
        15, gt=0, description="How long an endpoint may take for its answer."
    )
    webhook_retry_seconds: SecondsList = Field(
        (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 36_000),
        description="Pauses behind each failed attempt of a delivery; then it is given up.",
    )
    webhook_private_hosts: CommaList = Field(
        (),
        description="host:port of webhooks though the address is private, and without TLS.",
    )

    door: Literal["api", "stream"] = Field(
        "api", description="`api` takes every request; `stream` only streams, creates and reads."
    )
    stream_url: str = Field(
        "", description="Base URL of the streaming door; empty where this door itself can stream."
    )
    cors_origin: str = Field(
        "", description="Origin whose pages may call, or *; empty where the platform answers CORS."
    )
    key_requests_per_second: float = Field(
        50, ge=0, description="Requests per second of one access key in one process; 0: no limit."
    )
    max_body_bytes: int = Field(
        6 * 1024 * 1024,
        description="Largest request body here, in bytes; of JSON never over 6 MiB.",
    )
    project_max_live_runs: int = Field(
        1000, ge=0, description="Runs of one project at work at once, roughly; 0: no limit."
    )
    org_max_live_runs: int = Field(
        0, ge=0, description="The same for all projects of one organization; 0: no limit."
    )
    project_daily_usd: Decimal = Field(
        Decimal(0), ge=0, description="USD that a project may spend in a day (UTC); 0: no limit."
    )
    retention_days: int = Field(
        0, ge=0, description="Days for which ended runs and threads at rest are kept; 0: for ever."
    )
    sync_wait_seconds: float = Field(840, description="How long a synchronous create waits.")
    stream_max_seconds: float = Field(840, description="Longest life of one stream connection.")
    stream_heartbeat_seconds: float = Field(15, description="Silence before `: heartbeat`.")
    tail_min_ms: int = Field(50, description="First pause of a tail after it found nothing.")
    tail_max_ms: int = Field(500, description="Longest pause of a tail while nothing happens.")
    flush_ms: int = Field(50, description="How long deltas are gathered before they are put.")
    otel_exporter_otlp_endpoint: str = Field(
        "", description="Where spans go, by OTLP/HTTP as JSON: the part before /v1/traces; or none."
    )
    otel_exporter_otlp_headers_secret: str = Field(
        "", description="Secret that holds the headers for it, as `name=value,name=value`."
    )
    otel_instrumentation_genai_capture_message_content: bool = Field(
        False, description="Whether spans have prompts, replies, arguments and results on them."
    )
    step_reserve_seconds: float = Field(
        20, description="Time that is kept before the deadline to record results in."
    )

    @property
    def named_agents(self) -> dict[str, str]:
        """The agents that must be there, by the variables that name them."""
        return {"DEFAULT_AGENT": self.default_agent, "DEFAULT_PERSONA": self.default_persona}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the variables that are set and not empty; everything else keeps its default."""
        source = os.environ if environment is None else environment
        found = {
            name: source[name.upper()] for name in cls.model_fields if source.get(name.upper())
        }
        return cls.model_validate(found)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings, read once at first use."""
    return Settings.from_environment()
