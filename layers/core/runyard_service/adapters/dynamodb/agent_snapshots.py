"""Snapshots of the agents that runs started with, stored under the hash of their content.

Many runs share a snapshot. A snapshot never changes, so a process reads each snapshot only once.
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

# Well below DynamoDB's limit of 400 KB for an item.
MAX_SNAPSHOT_BYTES = 350 * 1024


class Definitions:
    """The definition items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cache: dict[str, Mapping[str, Any]] = {}

    def save(self, snapshot: Mapping[str, Any]) -> str:
        """Store the snapshot if it is new, and return its digest.

        Raises DefinitionError if it is larger than MAX_SNAPSHOT_BYTES.
        """
        # The text preserves the order of fields for the agent's author. The digest ignores it.
        text = json.dumps(snapshot)
        if len(text) > MAX_SNAPSHOT_BYTES:
            raise DefinitionError(f"the agent's definition is over {MAX_SNAPSHOT_BYTES} bytes")
        digest = hashlib.sha256(json.dumps(snapshot, sort_keys=True).encode()).hexdigest()
        if digest not in self._cache:
            # An existing item has the same content: another process was first.
            with suppress(ConditionFailedError):
                self._table.put({**keys.definition(digest), "snapshot": text}, if_absent=True)
            self._cache[digest] = snapshot
        return digest

    def get(self, digest: str) -> Mapping[str, Any]:
        """Return the snapshot. Raises DefinitionError if it does not exist."""
        if digest not in self._cache:
            item = self._table.get(keys.definition(digest))
            if item is None:
                raise DefinitionError("the agent's definition is not in the store")
            self._cache[digest] = json.loads(item["snapshot"])
        return self._cache[digest]
