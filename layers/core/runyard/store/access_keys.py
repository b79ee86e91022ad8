"""Access keys: what a bearer may do. Only the key's hash is kept."""

import hashlib
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict

from runyard.domain.clock import stamp
from runyard.store import keys
from runyard.store.dynamo import Table

Scope = Literal["runs:read", "runs:write", "files:write"]
ALL_SCOPES: frozenset[Scope] = frozenset({"runs:read", "runs:write", "files:write"})
# A revoked key works for no longer than this.
CACHE_SECONDS = 60.0


class AccessKey(BaseModel):
    """One key, without its secret. `agent` is the agent that its runs start; None: the default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key_hash: str
    org_id: str
    project_id: str
    scopes: frozenset[Scope]
    created_at: str
    agent: str | None = None
    revoked_at: str | None = None
    valid_until: str | None = None

    @property
    def id(self) -> str:
        """What the key is called where its use is put on record: not a secret."""
        return f"key_{self.key_hash[:12]}"

    def is_valid(self) -> bool:
        """Whether the key may be used now."""
        return self.revoked_at is None and (self.valid_until is None or stamp() < self.valid_until)


class AccessKeys:
    """The key items of the records table, cached for a minute."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cache: dict[str, tuple[float, AccessKey]] = {}

    def find(self, secret: str) -> AccessKey | None:
        """The key of this secret, or None. Found by its hash, so no secret is ever compared."""
        key_hash = _hash(secret)
        cached = self._cache.get(key_hash)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        item = self._table.get(keys.access_key(key_hash))
        found = AccessKey.model_validate(item) if item else None
        if found is not None:
            # Misses are not cached: a key must work as soon as it is made.
            self._cache[key_hash] = (time.monotonic() + CACHE_SECONDS, found)
        return found

    def ensure(
        self,
        secret: str,
        *,
        project_id: str,
        org_id: str,
        scopes: frozenset[Scope] = ALL_SCOPES,
        agent: str | None = None,
        valid_until: str | None = None,
    ) -> AccessKey:
        """Keep a key under its hash; one that is there already is replaced."""
        key = AccessKey(
            key_hash=_hash(secret),
            org_id=org_id,
            project_id=project_id,
            scopes=scopes,
            created_at=stamp(),
            agent=agent,
            valid_until=valid_until,
        )
        item = {**keys.access_key(key.key_hash), **key.model_dump(exclude={"scopes"})}
        self._table.put({**item, "scopes": sorted(key.scopes)})
        self._cache.pop(key.key_hash, None)
        return key


def _hash(secret: str) -> str:
    # A key is 256 random bits, so a plain hash cannot be guessed back.
    return hashlib.sha256(secret.encode()).hexdigest()
