"""The service's OpenAPI document, served at `/openapi.json`: written by hand, a part for each API.

What a run's `input` must be, the agent says: the document that is served has the schema of the
default agent. `python -m runyard_service.api.openapi` prints the document without;
`openapi.json` in the repository is what it printed last.
"""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The document as data."""
    whole, threads = _part("runs"), _part("threads")
    whole["tags"] += threads["tags"]
    whole["paths"] |= threads["paths"]
    for kind, parts in threads["components"].items():
        assert parts.keys().isdisjoint(whole["components"][kind]), "a name stands for one thing"
        whole["components"][kind] |= parts
    return whole


def _part(api: str) -> dict[str, Any]:
    import yaml  # Few ask for the document, and a cold start would wait for it.

    text = (Path(__file__).parent / api / "openapi.yaml").read_text(encoding="utf-8")
    # Through JSON: YAML's anchors would otherwise be shared objects that a reader could change.
    loaded: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(text)))
    return loaded


def document_with(input_schema: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a service whose default agent takes this input."""
    served = deepcopy(document())
    schemas = served["components"]["schemas"]
    schemas["Input"] = {**schemas["Input"], **input_schema}
    return served


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
