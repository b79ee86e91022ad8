"""Access keys: what a bearer may do. Only the key's hash is kept.

A key belongs to one project, or to an organization. An organization's key has no project of its own
(`project_id` is empty): each request names one, and it must be a project of that organization. A
project belongs to the organization that claimed it first, for good.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Item,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import now, parse, timestamp, timestamp_in
from runyard_service.domain.errors import ConflictError, RunyardError
from runyard_service.domain.runs import Author

_log = logging.getLogger(__name__)

Scope = Literal["runs:read", "runs:write", "files:write", "webhooks:write"]
ALL_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))
# A revoked key works for no longer than this.
CACHE_SECONDS = 60.0
# How exact the last use is: a write for every request would cost as much as the request.
USE_NOTED_EVERY_SECONDS = 3600.0
MAX_NAME_LENGTH = 256


class AccessKey(BaseModel):
    """One key, without its secret. `agent` is the agent that its runs start; None: the default.

    `user_id`, `user_name` and `user_email` say whom the key stands for, where it stands for one
    person.
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

    @property
    def id(self) -> str:
        """What the key is called where its use is put on record: not a secret."""
        return f"key_{self.key_hash[:12]}"

    @property
    def is_org_key(self) -> bool:
        """Whether a request with this key has to name its project."""
        return not self.project_id

    def can_access(self, org_id: str, project_id: str) -> bool:
        """Whether what belongs to this project is the key's to see."""
        return self.org_id == org_id and self.project_id in ("", project_id)

    @property
    def author(self) -> Author:
        """Who is on record for what is done with the key."""
        return Author(id=self.user_id or self.id, name=self.user_name, email=self.user_email)

    def is_valid(self) -> bool:
        """Whether the key may be used now."""
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
        """The key of this secret, or None. Found by its hash, so no secret is ever compared."""
        known = self.cached(secret)
        if known is not None:
            return known
        key_hash = _hash(secret)
        found = self._get(key_hash)
        if found is not None:
            # Misses are not cached: a key must work as soon as it is made.
            self._cache[key_hash] = (time.monotonic() + CACHE_SECONDS, found)
        return found

    def cached(self, secret: str) -> AccessKey | None:
        """The key of this secret where it is in memory: nobody has to wait for that."""
        cached = self._cache.get(_hash(secret))
        return cached[1] if cached and cached[0] > time.monotonic() else None

    def put(
        self,
        secret: str,
        *,
        project_id: str,
        org_id: str,
        scopes: frozenset[Scope] = ALL_SCOPES,
        agent: str | None = None,
        valid_until: str | None = None,
        user_id: str | None = None,
        user_name: str | None = None,
        user_email: str | None = None,
    ) -> AccessKey:
        """Keep a key under its hash; one that is there already is replaced.

        An empty `project_id` makes an organization's key. Raises ConflictError where the project
        belongs to another organization.
        """
        key = AccessKey(
            key_hash=_hash(secret),
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
        # Together, so that there is no key that cannot be listed and revoked.
        transact(self._table.client, self._changes(key))
        self._cache.pop(key.key_hash, None)
        return key

    def _changes(self, key: AccessKey) -> list[TransactWriteItem]:
        item = {
            **keys.access_key(key.key_hash),
            **key.model_dump(),
            "scopes": sorted(key.scopes),
            # Runs are indexed by this attribute, so it cannot be an empty text.
            "project_id": key.project_id or None,
        }
        listed = {**keys.listed_access_key(key.id), "key_hash": key.key_hash}
        return [self._table.put_change(item), self._table.put_change(listed)]

    def all(self) -> Iterator[AccessKey]:
        """Every key, by id. Keys are made by people: some thousands, all in one partition."""
        for item in self._table.query("#pk = :pk", {":pk": keys.LISTED_ACCESS_KEYS}):
            if (key := self._get(item["key_hash"])) is not None:
                yield key

    def rotate(
        self, key_id: str, secret: str, *, overlap: timedelta, valid_for: timedelta | None = None
    ) -> AccessKey | None:
        """Make a key that may do what this one may; this one ends when the `overlap` is over.

        The new key is valid for as long as the old one was made for, unless `valid_for` says
        otherwise. None where there is no such key; raises ConflictError where it has ended.
        """
        old = self._by_id(key_id)
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
        new, ends = old.model_copy(update=fields), timestamp(now() + overlap)
        if old.valid_until is not None:
            ends = min(ends, old.valid_until)
        # Only one of two who rotate the same key at once makes its successor.
        ending = self._table.update_change(
            keys.access_key(old.key_hash),
            {"valid_until": ends},
            only_if={"valid_until": old.valid_until, "revoked_at": None},
        )
        try:
            transact(self._table.client, [*self._changes(new), ending])
        except ConditionFailedError as error:
            raise ConflictError({"key": "was modified concurrently; retry"}) from error
        self._cache.pop(old.key_hash, None)
        return new

    def revoke(self, key_id: str) -> AccessKey | None:
        """End a key's validity; None where there is no such key.

        A key revoked before keeps its date. Other processes notice within CACHE_SECONDS.
        """
        key = self._by_id(key_id)
        if key is None or key.revoked_at is not None:
            return key
        revoked_at = timestamp()
        self._table.update(keys.access_key(key.key_hash), {"revoked_at": revoked_at})
        self._cache.pop(key.key_hash, None)
        return key.model_copy(update={"revoked_at": revoked_at})

    def should_record_use(self, key: AccessKey) -> bool:
        """Whether the last use that is on record is more than an hour ago."""
        return key.last_used_at < timestamp_in(-USE_NOTED_EVERY_SECONDS)

    def record_use(self, key: AccessKey) -> None:
        """Keep when the key was used, to the hour. Never raises: no request fails for it."""
        fields = {"last_used_at": timestamp()}
        cached = self._cache.get(key.key_hash)
        if cached:
            # First here, so that this process does not try again before the hour is over.
            self._cache[key.key_hash] = (cached[0], cached[1].model_copy(update=fields))
        # Of many processes that all see the old date, one writes.
        unchanged = {"last_used_at": key.last_used_at}
        try:
            self._table.update(keys.access_key(key.key_hash), fields, only_if=unchanged)
        except ConditionFailedError:
            pass
        except RunyardError:
            _log.warning("last use not saved", extra={"key_id": key.id}, exc_info=True)

    def claim_project(self, project_id: str, org_id: str) -> None:
        """Make the project the organization's, which it stays.

        Raises ConflictError where it belongs to another one.
        """
        try:
            self._table.put({**keys.project(project_id), "org_id": org_id}, if_absent=True)
        except ConditionFailedError as error:
            if not self.is_project_of(project_id, org_id):
                details = {"project": "belongs to another organization"}
                raise ConflictError(details) from error
        self._table.put(keys.org_project(org_id, project_id))

    def projects_of(self, org_id: str) -> list[str]:
        """The organization's projects. Made by people: some thousands at the most."""
        found = self._table.query("#pk = :pk", {":pk": keys.org_project(org_id, "")["pk"]})
        return [str(item["sk"]) for item in found]

    def all_projects(self) -> list[str]:
        """Every project that a key belongs to, or whose organization a key belongs to."""
        listed = self._table.query("#pk = :pk", {":pk": keys.LISTED_ACCESS_KEYS})
        places = [keys.access_key(item["key_hash"]) for item in listed]
        orgs = {str(item["org_id"]) for item in self._table.batch_get(places, ("org_id",))}
        return sorted({project for org_id in orgs for project in self.projects_of(org_id)})

    def is_project_of(self, project_id: str, org_id: str) -> bool:
        """Whether the project belongs to the organization; one that nobody claimed does not."""
        if not 0 < len(project_id) <= MAX_NAME_LENGTH:
            return False
        if project_id not in self._projects:
            item: Item | None = self._table.get(keys.project(project_id))
            if item is None:
                return False
            self._projects[project_id] = item["org_id"]  # It never changes.
        return self._projects[project_id] == org_id

    def _by_id(self, key_id: str) -> AccessKey | None:
        listed = self._table.get(keys.listed_access_key(key_id))
        return self._get(listed["key_hash"]) if listed else None

    def _get(self, key_hash: str) -> AccessKey | None:
        item = self._table.get(keys.access_key(key_hash))
        return AccessKey.model_validate(item) if item else None


def _hash(secret: str) -> str:
    # A key is 256 random bits, so a plain hash cannot be guessed back.
    return hashlib.sha256(secret.encode()).hexdigest()
