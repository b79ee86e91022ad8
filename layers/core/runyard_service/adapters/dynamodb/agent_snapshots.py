"""Snapshots of agents: what a run started with, kept under the hash of its content.

Many runs share one snapshot, and none ever changes, so a process needs each only once.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.errors import DefinitionError

# Well below DynamoDB's 400 KB for one item.
MAX_SNAPSHOT_BYTES = 350 * 1024


class Definitions:
    """The definition items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[str, Mapping[str, Any]] = {}

    def save(self, snapshot: Mapping[str, Any]) -> str:
        """Keep the snapshot if it is new; gives its digest.

        Raises DefinitionError where it is larger than one item can hold.
        """
        # The order of fields is kept (an agent's author sees it again), and says nothing.
        text = json.dumps(snapshot)
        if len(text) > MAX_SNAPSHOT_BYTES:
            raise DefinitionError(f"the agent's definition is over {MAX_SNAPSHOT_BYTES} bytes")
        digest = hashlib.sha256(json.dumps(snapshot, sort_keys=True).encode()).hexdigest()
        if digest not in self._known:
            # Where it is there already, another process was first, with the same content.
            with suppress(ConditionFailedError):
                self._table.put({**keys.definition(digest), "snapshot": text}, if_absent=True)
            self._known[digest] = snapshot
        return digest

    def get(self, digest: str) -> Mapping[str, Any]:
        """The snapshot. Raises DefinitionError where there is none."""
        if digest not in self._known:
            item = self._table.get(keys.definition(digest))
            if item is None:
                raise DefinitionError("the agent's definition is not in the store")
            self._known[digest] = json.loads(item["snapshot"])
        return self._known[digest]
