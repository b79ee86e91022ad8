"""The `${NAME}` in agent files: values of the installation, from `AGENT_VARIABLES`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


def texts_in(value: Any) -> Iterator[str]:
    """Yield each text in `value`, at any depth; the names of fields are none of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)


def variables_in(value: Any) -> Iterator[str]:
    """Yield the names in each `${NAME}` of the texts in `value`."""
    for text in texts_in(value):
        yield from _VARIABLE.findall(text)


def with_variables(value: Any, variables: Mapping[str, str]) -> Any:
    """Return the value with each `${NAME}` replaced. Raise KeyError for an unknown name."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variables[match[1]], value)
    if isinstance(value, Mapping):
        return {name: with_variables(each, variables) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_variables(each, variables) for each in value]
    return value
