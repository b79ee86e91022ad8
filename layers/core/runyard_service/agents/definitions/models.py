"""Models of the YAML files in `agents/`, which are validated before a run starts.

A run stores its whole definition at its start: a changed file does not change a running run.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from runyard_service.agents.code.definition import CodeFields
from runyard_service.agents.definitions.base import FrozenModel, JsonSchema
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.human_tools import AskHuman
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.model_settings.fields import RequestSettings
from runyard_service.agents.definitions.routes import ReasoningMode, Route
from runyard_service.agents.definitions.tools import (
    ExecutableTool,
    McpTool,
    PinnedMcpTool,
    Tool,
)

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
    invalid outputs, and responses in a row without an answer. An agent of kind
    `code` has at most `operations`, and its function at most `invocations`.
    """

    steps: int = Field(50, ge=1, le=HIGHEST_LIMITS["steps"])
    tokens: int | None = Field(None, ge=1, le=HIGHEST_LIMITS["tokens"])
    usd: Decimal | None = Field(None, gt=0, le=HIGHEST_LIMITS["usd"])
    wall_clock_seconds: int | None = Field(None, ge=1, le=HIGHEST_LIMITS["wall_clock_seconds"])
    usd_per_day: Decimal | None = Field(None, gt=0)
    on_limit: Literal["fail", "ask"] = "fail"
    output_attempts: int = Field(3, ge=1, le=10)
    truncated_replies: int = Field(3, ge=1, le=10)
    operations: int = Field(1000, ge=1, le=10_000)
    invocations: int = Field(1000, ge=1, le=10_000)
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


class ContextPolicy(FrozenModel):
    """How a conversation that gets too long for the context window of its model is shortened.

    It is shortened when its next request reaches the share `compact_at` of the window. The results
    of tools in old turns are cut to `tool_result_bytes` first. If that is not enough, a summary
    replaces old turns. `keep_turns` turns are not old: responses with their results, or messages
    of a thread. `summary_route` names the route that writes summaries.
    """

    compact_at: float = Field(0.8, ge=0.1, le=0.95)
    keep_turns: int = Field(6, ge=1, le=1000)
    tool_result_bytes: int = Field(65_536, ge=256, le=5 * 1024 * 1024)
    summary_route: str | None = Field(None, min_length=1)


class AgentDefinition(RequestSettings, CodeFields):
    """One version of one agent, as in its YAML file."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    version: str = Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")
    description: str = ""
    prompt: str | None = Field(
        None, description="The first message, with `{{ input.name }}`; default: the input as JSON."
    )
    route: str = Field(min_length=1)
    fallback: tuple[str, ...] = Field(
        (), description="The routes to ask, in this order, when `route` is unavailable."
    )
    input_schema: JsonSchema
    output_schema: JsonSchema | None = None
    tools: tuple[Tool, ...] = ()
    limits: Limits = Field(default_factory=Limits)
    max_output_tokens: int | None = Field(None, ge=1)
    context: ContextPolicy | None = Field(
        default_factory=ContextPolicy, description="`null`: long conversations are not shortened."
    )
    tool_result_bytes: int = Field(
        256 * 1024,
        gt=0,
        le=5 * 1024 * 1024,
        description="The longest result of a lambda or python tool.",
    )
    empty_output: Literal["retry", "allow"] = Field(
        "retry", description="`allow`: a response without text and tool calls is an answer."
    )

    _pinned_tools: tuple[PinnedMcpTool, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _names_are_unique(self) -> "AgentDefinition":
        names = [OUTPUT_TOOL]
        for index, tool in enumerate(self.tools):
            if isinstance(tool, McpTool):
                continue
            if tool.name in names:
                is_output = tool.name == OUTPUT_TOOL
                whose = "the built-in output tool's" if is_output else "another tool's"
                raise issue_at(("tools", index, "name"), f"{tool.name!r} is {whose} name")
            names.append(tool.name)
        return self

    @model_validator(mode="after")
    def _fallback_routes_differ(self) -> "AgentDefinition":
        for index, name in enumerate(self.fallback):
            if name in (self.route, *self.fallback[:index]):
                raise issue_at(("fallback", index), f"route {name!r} is named twice")
        return self

    @model_validator(mode="after")
    def _output_is_an_object(self) -> "AgentDefinition":
        # The output is the arguments of a tool call, and providers only accept objects there.
        if self.output_schema is not None and self.output_schema.get("type") != "object":
            raise issue_at(("output_schema", "type"), "must be of type object")
        if self.output_schema is not None and self.empty_output == "allow":
            raise issue_at(("empty_output",), "cannot be allow with an output_schema")
        if self.output_schema is None and self.output_mode == "native":
            raise issue_at(("output_mode",), "native requires an output_schema")
        return self

    @property
    def routes(self) -> tuple[str, ...]:
        """Return the names of its routes: first those that a run asks by itself, in this order."""
        return (self.route, *self.fallback, *self.other_routes)

    @property
    def mcp_tools(self) -> Sequence[McpTool]:
        """Return the entries of MCP servers."""
        return [tool for tool in self.tools if isinstance(tool, McpTool)]

    @property
    def callable_tools(self) -> Sequence[ExecutableTool | AskHuman]:
        """Return the tools that the model can call. The tools of MCP servers are last."""
        own = [tool for tool in self.tools if not isinstance(tool, McpTool)]
        return [*own, *self._pinned_tools]

    def with_pinned_tools(self, tools: Sequence[PinnedMcpTool]) -> "AgentDefinition":
        """Return the definition with the tools of its MCP servers, as a run has listed them."""
        effective = self.model_copy()
        effective._pinned_tools = tuple(tools)
        return effective

    def tool(self, name: str) -> ExecutableTool | AskHuman | None:
        """Return the tool of this name, or None if there is none (models invent names)."""
        return next((tool for tool in self.callable_tools if tool.name == name), None)


OUTPUT_TOOL = "final_output"


class FallbackRoute(FrozenModel):
    """A route besides the agent's own, with its name and the script of a `scripted:` route."""

    route: Route
    route_id: str
    script: Mapping[str, Any] | None = None


class Snapshot(FrozenModel):
    """The definition, route and script of a run's agent at the start of the run.

    `route_id` is the route's name in `routes.yaml`; a caller can select another than the
    definition's own. `fallback` has the routes that may still be asked after this route.
    `other_routes` are those that an agent's own code may name. `summary_route` is the route of
    `context.summary_route`.
    `mcp_servers` are the servers of its tools. `mcp_lock` has the digest of each
    locked tool by server and name, for the servers whose `on_change` reads it.
    """

    definition: AgentDefinition
    route: Route
    route_id: str
    script: Mapping[str, Any] | None = None
    summary_route: Route | None = None
    fallback: tuple[FallbackRoute, ...] = ()
    other_routes: tuple[FallbackRoute, ...] = ()
    mcp_servers: Mapping[str, McpServer] = Field(default_factory=dict)
    mcp_lock: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)

    def on_route(self, route_id: str) -> "Snapshot":
        """Return the snapshot on its route, or its fallback route, of this name.

        The fallback routes before it are not asked again. Raise ValueError for another name.
        """
        names = [self.route_id, *(fallback.route_id for fallback in self.fallback)]
        index = names.index(route_id)
        if index == 0:
            return self
        used, *rest = self.fallback[index - 1 :]
        return self.model_copy(update={**dict(used), "fallback": tuple(rest)})

    def on_other_route(self, route_id: str) -> "Snapshot | None":
        """Return the snapshot on a route that the agent's own code may name; None if it may not.

        The name of the agent's own route means the route in use. Other routes have no fallback.
        """
        if route_id in (self.definition.route, self.route_id):
            return self
        for other in self.other_routes:
            if other.route_id == route_id:
                return self.model_copy(update={**dict(other), "fallback": ()})
        return None

    def with_reasoning(self, reasoning: ReasoningMode) -> "Snapshot":
        """Return the snapshot with this reasoning effort on all its routes."""
        own = {"reasoning": reasoning}
        others = {
            name: tuple(
                each.model_copy(update={"route": each.route.model_copy(update=own)})
                for each in routes
            )
            for name, routes in (("fallback", self.fallback), ("other_routes", self.other_routes))
        }
        return self.model_copy(update={"route": self.route.model_copy(update=own), **others})

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
