"""Base types of agent definitions: frozen models, names, seconds, JSON Schemas."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from runyard_service.agents.definitions.errors import issue_at
from runyard_service.agents.definitions.json_schema.checks import misspelt_name, schema_issue

ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Seconds = Annotated[float, Field(gt=0)]
# One call must fit into one Lambda invocation (900 s).
StepSeconds = Annotated[float, Field(gt=0, le=600)]


def off_to_str(value: Any) -> Any:
    """Return `off` as text: YAML reads a bare `off` as false."""
    return "off" if value is False else value


class FrozenModel(BaseModel):
    """Base class of definition models: immutable, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)


def checked_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema, or raise an error at the invalid field."""
    if issue := schema_issue(schema) or misspelt_name(schema):
        raise issue_at(*issue)
    return schema


JsonSchema = Annotated[Mapping[str, Any], AfterValidator(checked_schema)]
