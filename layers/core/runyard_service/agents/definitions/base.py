"""What the agents' files are made of: frozen parts, names, times, JSON Schemas."""

from collections.abc import Mapping
from typing import Annotated, Any

import jsonschema_rs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from runyard_service.agents.definitions.errors import issue_at

ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Seconds = Annotated[float, Field(gt=0)]


class FrozenModel(BaseModel):
    """A part of a definition: it never changes, and says nothing that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)


def checked_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema, if it is a valid JSON Schema; else the fault at its place."""
    try:
        # Built and not only checked, for its patterns and references; none may lead elsewhere.
        jsonschema_rs.validator_for(dict(schema), offline=True)
    except jsonschema_rs.ValidationError as error:
        text = f"is not a valid JSON Schema: {error.message}"
        raise issue_at(error.instance_path, text) from error
    return schema


JsonSchema = Annotated[Mapping[str, Any], AfterValidator(checked_schema)]
