"""The functions of a project's own `template.yaml`, which the local stack runs by their names.

So an agent file names the same function on this machine and on AWS. Only functions with a plain
`FunctionName`, `CodeUri` and `Handler` count: the functions of Runyard have no `FunctionName`.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from runyard_dev.template.cloudformation import load_document

_TYPE = "AWS::Serverless::Function"


class Handler(NamedTuple):
    """The file of a function, and the name of its handler there."""

    file: Path
    handler: str


def find_handler(template: Path, function: str) -> Handler | None:
    """Return the handler of the function with this `FunctionName`; None if there is none."""
    try:
        modified = template.stat().st_mtime_ns
    except OSError:
        return None
    return _handlers(template, modified).get(function)


@lru_cache(maxsize=4)
def _handlers(template: Path, _modified: int) -> Mapping[str, Handler]:
    try:
        resources = load_document(template).get("Resources") or {}
    except (OSError, yaml.YAMLError) as error:
        print(f"{template} cannot be read, so its functions are not found: {error}", flush=True)
        return {}
    found = (_handler(template.parent, resource) for resource in resources.values())
    return {name: handler for entry in found if entry for name, handler in [entry]}


def _handler(folder: Path, resource: Any) -> tuple[str, Handler] | None:
    if not isinstance(resource, dict) or resource.get("Type") != _TYPE:
        return None
    properties = resource.get("Properties", {})
    name, code, handler = (properties.get(key) for key in ("FunctionName", "CodeUri", "Handler"))
    if not (isinstance(name, str) and isinstance(code, str) and isinstance(handler, str)):
        return None
    module, _, attribute = handler.rpartition(".")
    file = (folder / code / f"{module.replace('.', '/')}.py").resolve()
    return name, Handler(file, attribute)
