"""Access keys and their permissions. Only the hash of a key is stored.

A key belongs to a project or to an organization. An organization's key has no project of its own
(`project_id` is empty): each request names a project of that organization. A project belongs
permanently to the organization that claimed it first.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Item,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.idempotency import Creation
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import now, parse, timestamp, timestamp_in
from runyard_service.domain.errors import RunyardError
from runyard_service.domain.request_errors import ConflictError
from runyard_service.domain.runs import Author

_log = logging.getLogger(__name__)

Scope = Literal[
    "runs:read", "runs:write", "files:write", "webhooks:read", "webhooks:write", "keys:write"
]
ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))
# A key that creates keys is made on purpose only.
DEFAULT_SCOPES: frozenset[Scope] = ALL_SCOPES - {"keys:write"}
# A revoked key works for at most this time.
CACHE_SECONDS = 60.0
# Precision of the last use: a write for every request would cost as much as the request.
USE_RECORD_INTERVAL_SECONDS = 3600.0
MAX_NAME_LENGTH = 256


class AccessKey(BaseModel):
    """An access key without its secret. `agent` is the only agent of its runs; None: any agent.

    `user_id`, `user_name` and `user_email` identify the person of a personal key.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    key_hash: str
    org_id: str
    project_id: str = ""
    scopes: frozenset[Scope]
    created_at: str
    agent: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_email: str | None = None
    revoked_at: str | None = None
    valid_until: str | None = None
    last_used_at: str = ""

    @classmethod
    def of_secret(cls, secret: str, **fields: Any) -> "AccessKey":
        """Return a new key with this secret, which the key itself does not contain."""
        return cls(key_hash=_hash(secret), **fields)

    @property
    def id(self) -> str:
        """Return the key's id for logs and records. It is not a secret."""
        return f"key_{self.key_hash[:12]}"

    def has_scope(self, scope: Scope) -> bool:
        """Return whether the key has the scope. `webhooks:write` includes `webhooks:read`."""
        return scope in self.scopes or (
            scope == "webhooks:read" and "webhooks:write" in self.scopes
        )

    @property
    def is_org_key(self) -> bool:
        """Return whether a request with this key must name its project."""
        return not self.project_id

    def can_access(self, org_id: str, project_id: str) -> bool:
        """Return whether the key may access data of this project."""
        return self.org_id == org_id and self.project_id in ("", project_id)

    def may_use(self, agent: str) -> bool:
        """Return whether runs with this key may use the agent `name` or `name@version`.

        A key's agent without a version allows all its versions.
        """
        return self.agent in (None, agent, agent.partition("@")[0])

    @property
    def author(self) -> Author:
        """Return the recorded author of actions with this key."""
        return Author(id=self.user_id or self.id, name=self.user_name, email=self.user_email)

    def is_valid(self) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (
            self.valid_until is None or timestamp() < self.valid_until
        )


class AccessKeys:
    """The key items of the records table, cached for a minute."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cache: dict[str, tuple[float, AccessKey]] = {}
        self._projects: dict[str, str] = {}

    def find(self, secret: str) -> AccessKey | None:
        """Return the key of this secret, or None. A look-up by hash compares no secrets."""
        cached = self.cached(secret)
        if cached is not None:
            return cached
        key_hash = _hash(secret)
        key = self._get(key_hash)
        if key is not None:
            # Misses are not cached, because a new key must work at once.
            self._cache[key_hash] = (time.monotonic() + CACHE_SECONDS, key)
        return key

    def cached(self, secret: str) -> AccessKey | None:
        """Return the key of this secret if it is cached, else None. Makes no call."""
        cached = self._cache.get(_hash(secret))
        return cached[1] if cached and cached[0] > time.monotonic() else None

    def save(
        self,
        secret: str,
        *,
        project_id: str,
        org_id: str,
        scopes: frozenset[Scope] = DEFAULT_SCOPES,
        agent: str | None = None,
        valid_until: str | None = None,
        user_id: str | None = None,
        user_name: str | None = None,
        user_email: str | None = None,
    ) -> AccessKey:
        """Store a key under its hash; replace an existing key.

        An empty `project_id` creates an organization's key. Raises ConflictError if the project
        belongs to another organization.
        """
        key = AccessKey.of_secret(
            secret,
            org_id=org_id,
            project_id=project_id,
            scopes=scopes,
            created_at=timestamp(),
            agent=agent,
            valid_until=valid_until,
            user_id=user_id,
            user_name=user_name,
            user_email=user_email,
        )
        if project_id:
            self.claim_project(project_id, org_id)
        return self.create(key)

    def create(self, key: AccessKey, creation: Creation | None = None) -> AccessKey:
        """Store a key of an organization, or of a project that it has claimed; return it.

        If `creation` created another key before, return that key instead.
        """
        # One transaction, because every key must be in the list to be revocable.
        changes = self._changes(key)
        if creation is not None:
            changes.append(creation.change(target=key.id))
        try:
            transact(self._table.client, changes)
        except ConditionFailedError:
            # boto3 repeats a call whose response was lost. The repetition finds its own key.
            key_id = creation.created_target() if creation else None
            created = self.find_by_id(key_id) if key_id else None
            if created is None:
                raise
            return key if created.id == key.id else created
        self._cache.pop(key.key_hash, None)
        return key

    def _changes(self, key: AccessKey) -> list[TransactWriteItem]:
        item = {
            **keys.access_key(key.key_hash),
            **key.model_dump(),
            "scopes": sorted(key.scopes),
            # This attribute is a key of an index of runs, so it must not be an empty string.
            "project_id": key.project_id or None,
        }
        listed = {**keys.listed_access_key(key.id), "key_hash": key.key_hash}
        return [self._table.put_change(item), self._table.put_change(listed)]

    def all(self) -> Iterator[AccessKey]:
        """Yield all keys, by id. People create keys: some thousands, all in one partition."""
        for item in self._table.query("#pk = :pk", {":pk": keys.LISTED_ACCESS_KEYS}):
            if (key := self._get(item["key_hash"])) is not None:
                yield key

    def of_organization(self, reader: AccessKey) -> list[AccessKey]:
        """Return the keys that an organization's key can access, oldest first."""
        listed = self._table.query("#pk = :pk", {":pk": keys.LISTED_ACCESS_KEYS})
        item_keys = [keys.access_key(item["key_hash"]) for item in listed]
        found = map(AccessKey.model_validate, self._table.batch_get(item_keys))
        accessible = (key for key in found if reader.can_access(key.org_id, key.project_id))
        return sorted(accessible, key=lambda key: (key.created_at, key.id))

    def rotate(
        self, key_id: str, secret: str, *, overlap: timedelta, valid_for: timedelta | None = None
    ) -> AccessKey | None:
        """Create a key with the same permissions; the old key expires after `overlap`.

        The new key has the lifetime of the old key, unless `valid_for` sets another. Return None if
        the key does not exist. Raises ConflictError if it is expired or revoked.
        """
        old = self.find_by_id(key_id)
        if old is None:
            return None
        if not old.is_valid():
            raise ConflictError({"key": "has expired or was revoked; create a new key"})
        if valid_for is None and old.valid_until is not None:
            valid_for = parse(old.valid_until) - parse(old.created_at)
        fields = {
            "key_hash": _hash(secret),
            "created_at": timestamp(),
            "valid_until": timestamp(now() + valid_for) if valid_for else None,
            "last_used_at": "",
        }
        new, expires_at = old.model_copy(update=fields), timestamp(now() + overlap)
        if old.valid_until is not None:
            expires_at = min(expires_at, old.valid_until)
        # Of two concurrent rotations of the same key, only one succeeds.
        expiry = self._table.update_change(
            keys.access_key(old.key_hash),
            {"valid_until": expires_at},
            only_if={"valid_until": old.valid_until, "revoked_at": None},
        )
        try:
            transact(self._table.client, [*self._changes(new), expiry])
        except ConditionFailedError as error:
            raise ConflictError({"key": "was modified concurrently; retry"}) from error
        self._cache.pop(old.key_hash, None)
        return new

    def revoke(self, key_id: str, manager: AccessKey | None = None) -> AccessKey | None:
        """Revoke a key, and return it; None if it does not exist, or the manager has no access.

        A key that is already revoked is unchanged. Other processes reject the key within
        CACHE_SECONDS.
        """
        key = self.find_by_id(key_id)
        if key and manager and not manager.can_access(key.org_id, key.project_id):
            return None
        if key is None or key.revoked_at is not None:
            return key
        revoked_at = timestamp()
        self._table.update(keys.access_key(key.key_hash), {"revoked_at": revoked_at})
        self._cache.pop(key.key_hash, None)
        return key.model_copy(update={"revoked_at": revoked_at})

    def should_record_use(self, key: AccessKey) -> bool:
        """Return whether the last recorded use is more than an hour ago."""
        return key.last_used_at < timestamp_in(-USE_RECORD_INTERVAL_SECONDS)

    def record_use(self, key: AccessKey) -> None:
        """Record the key's last use, to the hour. Log errors, so no request fails because of it."""
        fields = {"last_used_at": timestamp()}
        cached = self._cache.get(key.key_hash)
        if cached:
            # The cache first, so this process does not try again within the hour.
            self._cache[key.key_hash] = (cached[0], cached[1].model_copy(update=fields))
        # Of many processes that read the old date, only one succeeds.
        unchanged = {"last_used_at": key.last_used_at}
        try:
            self._table.update(keys.access_key(key.key_hash), fields, only_if=unchanged)
        except ConditionFailedError:
            pass
        except RunyardError:
            _log.warning("last use not saved", extra={"key_id": key.id}, exc_info=True)

    def claim_project(self, project_id: str, org_id: str) -> None:
        """Claim the project for the organization permanently.

        Raises ConflictError if it belongs to another organization.
        """
        try:
            self._table.put({**keys.project(project_id), "org_id": org_id}, if_absent=True)
        except ConditionFailedError as error:
            if not self.is_project_of(project_id, org_id):
                details = {"project": "belongs to another organization"}
                raise ConflictError(details) from error
        self._table.put(keys.org_project(org_id, project_id))

    def projects_of(self, org_id: str) -> list[str]:
        """Return the organization's projects. People create projects: at most some thousands."""
        items = self._table.query("#pk = :pk", {":pk": keys.org_project(org_id, "")["pk"]})
        return [str(item["sk"]) for item in items]

    def all_projects(self) -> list[str]:
        """Return all projects of all organizations that have a key."""
        listed = self._table.query("#pk = :pk", {":pk": keys.LISTED_ACCESS_KEYS})
        item_keys = [keys.access_key(item["key_hash"]) for item in listed]
        orgs = {str(item["org_id"]) for item in self._table.batch_get(item_keys, ("org_id",))}
        return sorted({project for org_id in orgs for project in self.projects_of(org_id)})

    def is_project_of(self, project_id: str, org_id: str) -> bool:
        """Return whether the project belongs to the organization; an unclaimed project does not."""
        if not 0 < len(project_id) <= MAX_NAME_LENGTH:
            return False
        if project_id not in self._projects:
            item: Item | None = self._table.get(keys.project(project_id))
            if item is None:
                return False
            self._projects[project_id] = item["org_id"]  # It never changes.
        return self._projects[project_id] == org_id

    def find_by_id(self, key_id: str) -> AccessKey | None:
        """Return the key of this id, or None."""
        listed = self._table.get(keys.listed_access_key(key_id))
        return self._get(listed["key_hash"]) if listed else None

    def _get(self, key_hash: str) -> AccessKey | None:
        item = self._table.get(keys.access_key(key_hash))
        return AccessKey.model_validate(item) if item else None


def new_secret() -> str:
    """Return a new access key: 256 random bits. It is not stored anywhere."""
    return f"ry_{secrets.token_urlsafe(32)}"


def _hash(secret: str) -> str:
    # A key has 256 random bits, so a plain hash cannot be reversed.
    return hashlib.sha256(secret.encode()).hexdigest()
