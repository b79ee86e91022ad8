"""Models of the tools that an agent file lists."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel, JsonSchema, StepSeconds, ToolName
from runyard_service.agents.definitions.condition_types import condition_issues
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.human_tools import (
    Approval,
    ApprovalRule,
    AskHuman,
    mode_as_rule,
)
from runyard_service.agents.definitions.known_fields import suggestion
from runyard_service.agents.mcp.base import ListedTool, ProtocolVersion

# In the address and the headers of an HTTP tool.
PLACEHOLDER = re.compile(r"\$\{(?P<variable>[A-Za-z_]\w*)\}|\{(?P<argument>[A-Za-z_][\w-]*)\}")
Effect = Literal["none", "idempotent", "unsafe"]


class _Tool(FrozenModel):
    """The fields of every tool.

    `effect` controls how an unfinished call is recovered. A call with effect `none` or `idempotent`
    is repeated, with the tool call's id as its idempotency key. An `unsafe` call creates an input
    request.
    """

    name: ToolName
    description: str = Field(min_length=1)
    parameters: JsonSchema = Field(default_factory=lambda: {"type": "object", "properties": {}})
    effect: Effect = "unsafe"
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


def _mode_or_hints(value: Any) -> Any:
    return value if value == "hints" else mode_as_rule(value)


McpApproval = Annotated[ApprovalRule | Literal["hints"] | None, BeforeValidator(_mode_or_hints)]


class McpOverride(FrozenModel):
    """The fields of one tool of an MCP server that differ from those of its entry."""

    effect: Effect | Literal["hints"] | None = None
    approval: McpApproval = None
    timeout: StepSeconds | None = None


class McpTool(FrozenModel):
    """Tools of an MCP server of `mcp.yaml`.

    `include` and `exclude` are names of the server's tools, or patterns with `*` and `?`. The model
    sees each name after `prefix`, which is the server's name and `_` by default. With `hints`, the
    annotations of the server decide about the effect, or ask for approval unless a tool only reads.
    """

    kind: Literal["mcp"]
    server: str = Field(min_length=1)
    include: tuple[str, ...] = Field(min_length=1)
    exclude: tuple[str, ...] = ()
    prefix: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{0,32}$")
    effect: Effect | Literal["hints"] = "unsafe"
    approval: McpApproval = None
    overrides: Mapping[str, McpOverride] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _overrides_are_used(self) -> "McpTool":
        for name in self.overrides:
            if any(character in name for character in "*?["):
                text = "must be the name of one tool; use another entry for a pattern"
                raise issue_at(("overrides", name), text)
            if not self.selects(name):
                text = f"no pattern of include selects {name!r}, or one of exclude does"
                raise issue_at(("overrides", name), text + suggestion(name, self.include))
        return self

    @property
    def name_prefix(self) -> str:
        """Return what the names of the tools start with for the model."""
        return f"{self.server}_" if self.prefix is None else self.prefix

    @property
    def uses_hints(self) -> bool:
        """Return whether the server's annotations decide about a tool."""
        values = [(self.effect, self.approval)]
        values += [(each.effect or self.effect, each.approval) for each in self.overrides.values()]
        return any("hints" in pair for pair in values)

    def selects(self, name: str) -> bool:
        """Return whether the agent uses the server's tool of this name."""

        def matches(patterns: tuple[str, ...]) -> bool:
            return any(fnmatchcase(name, pattern) for pattern in patterns)

        return matches(self.include) and not matches(self.exclude)

    def unmatched_patterns(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the patterns of `include` and `exclude` that match none of the server's tools."""
        patterns = dict.fromkeys((*self.include, *self.exclude))
        return tuple(
            pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)
        )


@dataclass(frozen=True)
class PinnedMcpTool:
    """A tool of an MCP server, as the run's list has it. `name` is the model's name for it."""

    name: str
    server: str
    protocol: ProtocolVersion
    listed: ListedTool
    effect: Effect
    approval: ApprovalRule | None
    timeout: float
    kind: Literal["mcp"] = "mcp"

    @property
    def description(self) -> str:
        """Return the server's description."""
        return self.listed.description

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Return the JSON Schema of the arguments."""
        return self.listed.parameters


Tool = Annotated[
    HttpTool | PythonTool | LambdaTool | AskHuman | McpTool, Field(discriminator="kind")
]
LocalTool = HttpTool | PythonTool | LambdaTool
ExecutableTool = LocalTool | PinnedMcpTool
