"""Every environment variable that Runyard reads, with its unit. Nothing is read at import.

A variable has the name of its field in capitals. A test compares the environment of each function
in `template.yaml` with this model.
"""

import os
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json, ValidationError
from pydantic_core import ErrorDetails


def _comma_list(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]
SecondsList = Annotated[
    tuple[Annotated[float, Field(ge=0, le=86_400)], ...], BeforeValidator(_comma_list)
]

ProviderList = Annotated[
    tuple[Literal["openai", "anthropic", "bedrock", "google", "mistral"], ...],
    BeforeValidator(_comma_list),
]


class InvalidSettingsError(ValueError):
    """An environment variable has an invalid value."""


class Settings(BaseModel):
    """The configuration of a function or of the local stack."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    stage: str = "dev"
    stack_name: str = Field(
        "runyard", description="Name of the stack, the dimension of every metric."
    )
    events_table: str = "runyard-events"
    records_table: str = "runyard-records"
    bucket: str = "runyard-bucket"
    run_state_machine_arn: str = ""
    resume_state_machine_arn: str = ""
    ticket_secret_id: str = ""

    agents_dir: str = Field("agents", description="Folder of agent definitions and routes.yaml.")
    agents_object_key: str = Field(
        "", description="S3 key of the published agents; empty: read `agents_dir`."
    )
    agents_refresh_seconds: float = Field(
        10, ge=0, description="Maximum age of the published agents in a process, in seconds."
    )
    default_agent: str = Field(
        "support_triage", description="Agent of an access key that names none."
    )
    credits_per_usd: Decimal = Field(
        Decimal(1000), ge=0, description="Credits per USD, in `credits_used`."
    )
    default_persona: str = Field(
        "assistant", description="Agent of a run in a thread that names none."
    )
    agent_variables: Json[dict[str, str]] = Field(
        default_factory=dict,
        description="Values of `${NAME}` in the URLs and headers of tools, a JSON object.",
    )
    model_secret_prefix: str = Field(
        "runyard/", description="Prefix of the secrets that `api_key_secret` of a route may name."
    )
    agent_function_prefix: str = Field(
        "runyard-agent-",
        description="Prefix of the Lambda functions that agents of kind `code` may name.",
    )
    preload_providers: ProviderList = Field(
        (), description="Model providers that run_step imports when it starts."
    )
    http_allowed_private_hosts: CommaList = Field(
        (), description="Private addresses, as host:port, that http tools may call."
    )

    event_bus: str = Field("", description="Name of the event bus for run events.")
    webhook_queue_url: str = Field("", description="Queue of webhook deliveries.")
    webhook_dead_letter_queue_url: str = Field(
        "", description="Queue of webhook deliveries that failed for good."
    )
    webhook_timeout_seconds: float = Field(
        15, gt=0, description="Longest time to wait for a webhook's response, in seconds."
    )
    webhook_retry_seconds: SecondsList = Field(
        (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 36_000),
        description="Seconds to wait after each failed attempt of a delivery.",
    )
    webhook_allowed_private_hosts: CommaList = Field(
        (),
        description="Private addresses, as host:port, that webhooks may use, also without TLS.",
    )

    endpoint: Literal["api", "stream"] = Field(
        "api", description="`api` serves every request; `stream` only streams, creates and reads."
    )
    stream_url: str = Field(
        "", description="Base URL of the streaming endpoint; empty: this endpoint streams itself."
    )
    cors_origin: str = Field(
        "", description="Origin of pages that may call, or *; empty: the platform handles CORS."
    )
    console: bool = Field(True, description="Whether the API serves the web console.")
    key_requests_per_second: float = Field(
        50, ge=0, description="Requests per second of an access key in a process; 0: no limit."
    )
    source_rejections_per_second: float = Field(
        5,
        ge=0,
        description="Rejected keys and tickets per second of a source in a process; 0: no limit.",
    )
    key_max_streams: int = Field(
        100,
        ge=0,
        description="Open streams of a key, or of a run with tickets, in a process; 0: no limit.",
    )
    max_body_bytes: int = Field(
        6 * 1024 * 1024,
        description="Largest request body, in bytes; a JSON body is limited to 6 MiB.",
    )
    project_max_active_runs: int = Field(
        1000, ge=0, description="Active runs of a project at most, approximately; 0: no limit."
    )
    org_max_active_runs: int = Field(
        0, ge=0, description="The same for all projects of an organization; 0: no limit."
    )
    project_daily_usd: Decimal = Field(
        Decimal(0), ge=0, description="Daily cap of a project in USD, per day in UTC; 0: no cap."
    )
    retention_days: int = Field(
        0, ge=0, description="Days to retain ended runs and inactive threads; 0: without end."
    )
    sync_wait_seconds: float = Field(840, description="Longest wait of a synchronous create.")
    stream_max_seconds: float = Field(840, description="Longest life of a stream connection.")
    stream_heartbeat_seconds: float = Field(15, description="Silence before a `: heartbeat` line.")
    poll_min_ms: int = Field(50, description="Shortest interval between reads of a log.")
    poll_max_ms: int = Field(500, description="Longest interval between reads of a quiet log.")
    delta_flush_ms: int = Field(50, description="How long deltas are buffered before a write.")
    otel_exporter_otlp_endpoint: str = Field(
        "", description="Collector of spans (OTLP/HTTP, JSON): its URL before /v1/traces; or empty."
    )
    otel_exporter_otlp_headers_secret: str = Field(
        "", description="Secret with the collector's headers, as `name=value,name=value`."
    )
    otel_instrumentation_genai_capture_message_content: bool = Field(
        False, description="Add prompts, responses, tool arguments and results to spans."
    )
    step_reserve_seconds: float = Field(
        20, description="Time reserved before the deadline to record results."
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the variables that are set and not empty; the others have their defaults.

        Raise InvalidSettingsError for a variable with an invalid value.
        """
        source = os.environ if environment is None else environment
        values = {
            name: source[name.upper()] for name in cls.model_fields if source.get(name.upper())
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InvalidSettingsError("; ".join(map(_explain, error.errors()))) from None


def _explain(error: ErrorDetails) -> str:
    """Return the variable and what it must be, without the value: it may be a secret."""
    name = str(error["loc"][0])
    if name == "agent_variables":
        expected = 'a JSON object of texts, such as {"CRM_URL": "https://crm.example.com"}'
    else:
        expected = error["msg"].removeprefix("Input should be ")
    return f"the environment variable {name.upper()} must be {expected}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process; they are read at first use."""
    return Settings.from_environment()
