"""The service's OpenAPI document, served at `/openapi.json`.

`openapi.yaml` has what all resources share. Each resource has a YAML file next to its router. The
schemas of events come from the types of their data.
`document_with` adds the input schema of the default agent. `python -m runyard_service.api.openapi`
prints the document without it, as `openapi.json` in the repository.
"""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from runyard_service.api.docs.event_schemas import event_schemas

_FOLDER = Path(__file__).parent


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the document as data. Raises ValueError if two files define the same name."""
    whole = _read(_FOLDER / "openapi.yaml")
    for file in sorted(_FOLDER.glob("*/*.yaml")):
        part = _read(file)
        whole["tags"] += part.get("tags", [])
        _add(whole["paths"], part.get("paths", {}))
        for kind, components in part.get("components", {}).items():
            _add(whole["components"].setdefault(kind, {}), components)
    _add(whole["components"]["schemas"], event_schemas())
    return whole


def _add(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    if duplicates := whole.keys() & part.keys():
        raise ValueError(f"defined twice: {', '.join(sorted(duplicates))}")
    whole |= part


def _read(file: Path) -> dict[str, Any]:
    import yaml  # Imported here: few requests need it, and it would slow every cold start.

    # A JSON round trip copies the values: YAML anchors are shared objects.
    loaded: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(file.read_text("utf-8"))))
    return loaded


def document_with(input_schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a service whose default agent takes this input."""
    served = deepcopy(document())
    schemas = served["components"]["schemas"]
    schemas["Input"] = {**schemas["Input"], **input_schema}
    return served


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
