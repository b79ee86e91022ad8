"""Models of the YAML files in `agents/`, which are validated before a run starts.

A run stores its whole definition at its start: a changed file does not change a running run.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from runyard_service.agents.definitions.base import FrozenModel, JsonSchema
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.human_tools import AskHuman
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.routes import Route
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
    def _output_is_an_object(self) -> "AgentDefinition":
        # The output is the arguments of a tool call, and providers only accept objects there.
        if self.output_schema is not None and self.output_schema.get("type") != "object":
            raise issue_at(("output_schema", "type"), "must be of type object")
        if self.output_schema is not None and self.empty_output == "allow":
            raise issue_at(("empty_output",), "cannot be allow with an output_schema")
        return self

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


class Snapshot(FrozenModel):
    """The definition, route and script of a run's agent at the start of the run.

    `route_id` is the route's name in `routes.yaml`; a caller can select another than the
    definition's own. `mcp_servers` are the servers of its tools. `mcp_lock` has the digest of each
    locked tool by server and name, for the servers whose `on_change` reads it.
    """

    definition: AgentDefinition
    route: Route
    route_id: str
    script: Mapping[str, Any] | None = None
    mcp_servers: Mapping[str, McpServer] = Field(default_factory=dict)
    mcp_lock: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)

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
