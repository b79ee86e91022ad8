"""Models of the tools that an agent file lists."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from runyard_service.agents.definitions.base import FrozenModel, JsonSchema, StepSeconds, ToolName
from runyard_service.agents.definitions.condition_types import condition_issues
from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.human_tools import Approval, AskHuman
from runyard_service.agents.definitions.known_fields import suggestion


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
