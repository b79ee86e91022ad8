"""Models of the YAML files in `agents/`, which are validated before a run starts.

A run stores its whole definition at its start: a changed file does not change a running run.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel, JsonSchema, ToolName
from runyard_service.agents.definitions.condition_types import condition_issues
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.human_tools import Approval, AskHuman
from runyard_service.agents.definitions.known_fields import suggestion

# One call must fit into one Lambda invocation (900 s).
StepSeconds = Annotated[float, Field(gt=0, le=600)]


class _Tool(FrozenModel):
    """The fields of every tool.

    `effect` controls how an unfinished call is recovered. A call with effect `none` or `idempotent`
    is repeated, with the tool call's id as its idempotency key. An `unsafe` call creates an input
    request.
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
                text = f"{name!r} is not a parameter{suggestion(name, known)}"
                raise issue_at(("approval", "editable"), text)
        return self

    @model_validator(mode="after")
    def _condition_suits_parameters(self) -> "_Tool":
        condition = self.approval.when if self.approval else None
        for path, text in condition_issues(condition or {}, self.parameters):
            raise issue_at(("approval", "when", path), text)
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


# One year: the maximum duration of a Step Functions execution, and so of the wait of a run.
LONGEST_WAIT_SECONDS = 31_536_000
# The highest values of the limits of a run, in an agent file and in an answer that raises a limit.
HIGHEST_LIMITS = {
    "steps": 10_000,
    "tokens": 10**12,
    "usd": 1_000_000,
    "wall_clock_seconds": 31_536_000,
}


class Limits(FrozenModel):
    """The limits of a run. Steps are model calls; wall clock time excludes waits for a person.

    `usd_per_day` limits the cost of all runs of the agent in one project per day (UTC). When a run
    reaches one of its own limits, `on_limit` decides: it fails, or a person may raise the limit.
    After `truncated_replies` truncated responses in a row, the run fails. `output_attempts` limits
    invalid outputs, and responses in a row without an answer.
    """

    steps: int = Field(50, ge=1, le=HIGHEST_LIMITS["steps"])
    tokens: int | None = Field(None, ge=1, le=HIGHEST_LIMITS["tokens"])
    usd: Decimal | None = Field(None, gt=0, le=HIGHEST_LIMITS["usd"])
    wall_clock_seconds: int | None = Field(None, ge=1, le=HIGHEST_LIMITS["wall_clock_seconds"])
    usd_per_day: Decimal | None = Field(None, gt=0)
    on_limit: Literal["fail", "ask"] = "fail"
    output_attempts: int = Field(3, ge=1, le=10)
    truncated_replies: int = Field(3, ge=1, le=10)
    wait_seconds: int = Field(LONGEST_WAIT_SECONDS, ge=1, le=LONGEST_WAIT_SECONDS)

    def time_to_answer(self, expires_in: float | None, on_expiry: str) -> tuple[float | None, str]:
        """Return the lifetime of an input request in seconds (None: no limit), and its `on_expiry`.

        A request that is open for `wait_seconds` fails the run, also if its own expiry is later.
        """
        own = None if on_expiry == "keep_waiting" else expires_in
        is_within = own is not None and own <= self.wait_seconds
        if is_within or self.wait_seconds == LONGEST_WAIT_SECONDS:
            return expires_in, on_expiry
        return self.wait_seconds, "fail"


class AgentDefinition(FrozenModel):
    """One version of one agent, as in its YAML file."""

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
    empty_output: Literal["retry", "allow"] = Field(
        "retry", description="`allow`: a response without text and tool calls is an answer."
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> "AgentDefinition":
        names = [OUTPUT_TOOL, *(tool.name for tool in self.tools)]
        for index, name in enumerate(names):
            if name in names[:index]:
                whose = "the built-in output tool's" if name == OUTPUT_TOOL else "another tool's"
                raise issue_at(("tools", index - 1, "name"), f"{name!r} is {whose} name")
        return self

    @model_validator(mode="after")
    def _output_is_an_object(self) -> "AgentDefinition":
        # The output is the arguments of a tool call, and providers only accept objects there.
        if self.output_schema is not None and self.output_schema.get("type") != "object":
            raise issue_at(("output_schema", "type"), "must be of type object")
        if self.output_schema is not None and self.empty_output == "allow":
            raise issue_at(("empty_output",), "cannot be allow with an output_schema")
        return self

    def tool(self, name: str) -> ExecutableTool | AskHuman | None:
        """Return the tool of this name, or None if there is none (models invent names)."""
        return next((tool for tool in self.tools if tool.name == name), None)


OUTPUT_TOOL = "final_output"

ReasoningMode = Literal["off", "minimal", "low", "medium", "high"]
ThinkTags = Literal["auto", "open", "off"]


def _bool_off_to_str(value: Any) -> Any:
    return "off" if value is False else value  # YAML reads a bare `off` as false.


class Route(FrozenModel):
    """A model as `provider:model`, with its address if that is not the provider's.

    `model` is `openai:…`, `anthropic:…`, `bedrock:…` or `scripted:<file in agents/scripts>`.
    `api_key_variable` names the environment variable, `api_key_secret` the secret in Secrets
    Manager that holds the key. Prices are USD per million tokens and override the price table;
    the default price of cached input is that of other input.
    `reasoning` is the reasoning effort; None is the provider's default. `think_tags` is for servers
    that send reasoning as text between `<think>` and `</think>`: `auto` finds both tags, `open`
    means that each response starts inside the reasoning, and `off` leaves the tags in the text.
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
    think_tags: Annotated[ThinkTags, BeforeValidator(_bool_off_to_str)] = "auto"

    @model_validator(mode="after")
    def _prices_go_together(self) -> "Route":
        if (self.input_usd_per_million is None) != (self.output_usd_per_million is None):
            raise ValueError("set both prices, or neither")
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
        """Return the part before the colon."""
        return self.model.partition(":")[0]

    @property
    def model_name(self) -> str:
        """Return the part after the colon."""
        return self.model.partition(":")[2]

    def serves(self, model: str) -> bool:
        """Return True if the route uses `model`, a name with or without its provider."""
        return model in (self.model, self.model_name)


class Snapshot(FrozenModel):
    """The definition, route and script of a run's agent at the start of the run.

    `route_id` is the route's name in `routes.yaml`; a caller can select another than the
    definition's own.
    """

    definition: AgentDefinition
    route: Route
    route_id: str
    script: Mapping[str, Any] | None = None

    def to_stored(self) -> dict[str, Any]:
        """Return the snapshot as data for the store; `from_stored` is the inverse.

        Only fields that were set are included: a field that is unset and a field that is set to its
        default can mean different things.
        """
        return self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def from_stored(cls, fields: Mapping[str, Any]) -> "Snapshot":
        """Return a snapshot from stored data; ignore the fields of a later release."""
        return cls.model_validate(fields, extra="ignore")

    @property
    def name(self) -> str:
        """Return `key@version`."""
        return f"{self.definition.key}@{self.definition.version}"
