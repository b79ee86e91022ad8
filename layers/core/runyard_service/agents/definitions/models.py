"""An agent as configuration: what a YAML file in `agents/` may say, checked before anything runs.

A run keeps the whole definition that it started with, so a changed file never changes a running
run.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel, JsonSchema, ToolName
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.human_tools import Approval, AskHuman

# What must fit one invocation (900 s) with time to spare.
StepSeconds = Annotated[float, Field(gt=0, le=600)]


class _Tool(FrozenModel):
    """What every tool has.

    `effect` says what an unfinished call means when a step is taken up again: a call without effect
    or one that is idempotent is repeated (with the tool call's id as its key), an unsafe one
    becomes a question to a person.
    """

    name: ToolName
    description: str = Field(min_length=1)
    parameters: JsonSchema = Field(default_factory=lambda: {"type": "object", "properties": {}})
    effect: Literal["none", "idempotent", "unsafe"] = "unsafe"
    approval: Approval = None
    timeout: StepSeconds = 30

    @model_validator(mode="after")
    def _editable_are_parameters(self) -> "_Tool":
        known = set(self.parameters.get("properties", {}))
        for name in self.approval.editable if self.approval else ():
            if name not in known:
                raise issue_at(("approval", "editable"), f"{name!r} is not a parameter")
        return self


class HttpTool(_Tool):
    """A call of an HTTP API.

    `url` and `headers` may hold `{name}` for an argument (percent-encoded in the URL) and `${NAME}`
    for a value of the installation (`AGENT_VARIABLES`). Arguments that neither of them names go
    into the JSON body, or into the query for GET and DELETE.
    """

    kind: Literal["http"]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str = Field(min_length=1)
    headers: Mapping[str, str] = Field(default_factory=dict)
    max_response_bytes: int = Field(256 * 1024, gt=0, le=5 * 1024 * 1024)


class PythonTool(_Tool):
    """A Python function, named `module:function`; called with the arguments as keywords."""

    kind: Literal["python"]
    function: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


class LambdaTool(_Tool):
    """Another Lambda function, invoked by name with the arguments as its event."""

    kind: Literal["lambda"]
    function: str = Field(min_length=1)


Tool = Annotated[HttpTool | PythonTool | LambdaTool | AskHuman, Field(discriminator="kind")]
ExecutableTool = HttpTool | PythonTool | LambdaTool


# As long as Step Functions lets an execution live, and with it the wait of a run: a year.
LONGEST_WAIT_SECONDS = 31_536_000


class Limits(FrozenModel):
    """Where a run is stopped. Steps are model calls; the wait for a person is not wall clock.

    `usd_per_day` is what all runs of the agent in one project may cost in a day (UTC). `on_limit`
    says what becomes of a run that meets one of its own: it fails, or a person may raise the limit.
    After `truncated_replies` replies in a row that were cut off, the run fails.
    """

    steps: int = Field(50, ge=1, le=10_000)
    tokens: int | None = Field(None, ge=1)
    usd: Decimal | None = Field(None, gt=0)
    wall_clock_seconds: int | None = Field(None, ge=1)
    usd_per_day: Decimal | None = Field(None, gt=0)
    on_limit: Literal["fail", "ask"] = "fail"
    output_attempts: int = Field(3, ge=1, le=10)
    truncated_replies: int = Field(3, ge=1, le=10)
    wait_seconds: int = Field(LONGEST_WAIT_SECONDS, ge=1, le=LONGEST_WAIT_SECONDS)

    def time_to_answer(self, expires_in: float | None, on_expiry: str) -> tuple[float | None, str]:
        """For how many seconds a question with this expiry is open, and what becomes of it then.

        What is still open after `wait_seconds` fails the run, whatever the question says itself.
        """
        own = None if on_expiry == "keep_waiting" else expires_in
        is_within = own is not None and own <= self.wait_seconds
        if is_within or self.wait_seconds == LONGEST_WAIT_SECONDS:
            return expires_in, on_expiry
        return self.wait_seconds, "fail"


class AgentDefinition(FrozenModel):
    """One version of one agent, as its YAML file says it."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    description: str = ""
    instructions: str = Field(min_length=1)
    prompt: str | None = Field(
        None, description="The first message, with `{{ input.name }}`; default: the input as JSON."
    )
    route: str = Field(min_length=1)
    input_schema: JsonSchema
    output_schema: JsonSchema | None = None
    tools: tuple[Tool, ...] = ()
    limits: Limits = Field(default_factory=Limits)
    max_output_tokens: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> "AgentDefinition":
        names = [OUTPUT_TOOL, *(tool.name for tool in self.tools)]
        for place, name in enumerate(names):
            if name in names[:place]:
                whose = "the built-in output tool's" if name == OUTPUT_TOOL else "another tool's"
                raise issue_at(("tools", place - 1, "name"), f"{name!r} is {whose} name")
        return self

    @model_validator(mode="after")
    def _output_is_an_object(self) -> "AgentDefinition":
        # It is given as the arguments of a tool, and providers take nothing else for those.
        if self.output_schema is not None and self.output_schema.get("type") != "object":
            raise issue_at(("output_schema", "type"), "must be of type object")
        return self

    def tool(self, name: str) -> ExecutableTool | AskHuman | None:
        """The tool of this name, or None where the model made the name up."""
        return next((tool for tool in self.tools if tool.name == name), None)


OUTPUT_TOOL = "final_output"

ReasoningMode = Literal["off", "minimal", "low", "medium", "high"]


def _bool_off_to_str(value: Any) -> Any:
    return "off" if value is False else value  # YAML takes a bare `off` for a no.


class Route(FrozenModel):
    """Where the model is: `provider:model`, its address where that is not the provider's own.

    `model` is `openai:…`, `anthropic:…`, `bedrock:…` or `scripted:<file in agents/scripts>`.
    `api_key_variable` names the environment variable, `api_key_secret` the secret in Secrets
    Manager that holds the key. Prices are USD per million tokens and override the price table;
    without one of its own, cached input costs as much as any.
    `reasoning` is how hard the model is asked to think; None leaves that to the provider.
    """

    model: str = Field(pattern=r"^(openai|anthropic|bedrock|scripted):.+$")
    base_url: str | None = None
    region: str | None = None
    api_key_variable: str | None = None
    api_key_secret: str | None = None
    input_usd_per_million: Decimal | None = Field(None, ge=0)
    output_usd_per_million: Decimal | None = Field(None, ge=0)
    cached_input_usd_per_million: Decimal | None = Field(None, ge=0)
    timeout: StepSeconds = 300
    reasoning: Annotated[ReasoningMode | None, BeforeValidator(_bool_off_to_str)] = None

    @model_validator(mode="after")
    def _prices_go_together(self) -> "Route":
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("give both prices, or neither")
        cached, full = self.cached_input_usd_per_million, self.input_usd_per_million
        if cached is not None and (full is None or cached > full):
            # A budget is reserved at the full price: it has to be the highest.
            raise ValueError(
                "cached_input_usd_per_million requires both other prices "
                "and must not exceed the input price"
            )
        return self

    @property
    def provider(self) -> str:
        """The part before the colon."""
        return self.model.partition(":")[0]

    @property
    def model_name(self) -> str:
        """The part after the colon."""
        return self.model.partition(":")[2]

    def serves(self, model: str) -> bool:
        """Whether this is a route to `model`, named with its provider or without."""
        return model in (self.model, self.model_name)


class Snapshot(FrozenModel):
    """All that a run needs of its agent, as it was when the run started.

    `route_id` is the route's name in `routes.yaml`; a caller can select another than the
    definition's own.
    """

    definition: AgentDefinition
    route: Route
    route_id: str
    script: Mapping[str, Any] | None = None

    def stored(self) -> dict[str, Any]:
        """Return the snapshot as data for the store; `kept` is the inverse.

        Only fields that were set are included: a field that is unset and a field that is set to its
        default can mean different things.
        """
        return self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def to_stored(cls, fields: Mapping[str, Any]) -> "Snapshot":
        """A snapshot from the store, without what only a later release knows."""
        return cls.model_validate(fields, extra="ignore")

    @property
    def name(self) -> str:
        """`key@version`."""
        return f"{self.definition.key}@{self.definition.version}"
