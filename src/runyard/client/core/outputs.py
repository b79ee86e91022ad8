"""Outputs of runs as models of pydantic, which is not a dependency."""

from collections.abc import Mapping
from typing import Any, Protocol, Self


class OutputModel(Protocol):
    """What `pydantic.BaseModel` has."""

    @classmethod
    def model_validate(cls, obj: Any) -> Self:
        """Return the model of a JSON value."""
        ...


def to_model(output: Mapping[str, Any], model: type[OutputModel] | None) -> Any:
    """Return the output, as a model if there is one."""
    return dict(output) if model is None else model.model_validate(output)
