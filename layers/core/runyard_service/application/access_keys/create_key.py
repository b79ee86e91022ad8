"""Create an access key with the rights of another one, or fewer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from runyard_service.adapters.dynamodb.access_keys import AccessKey, AccessKeys, Scope, new_secret
from runyard_service.adapters.dynamodb.idempotency import Creation
from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.request_errors import ForbiddenError, InvalidRequestError

MANAGE: Scope = "keys:write"


@dataclass(frozen=True)
class NewKey:
    """The key to create. An empty `project_id` means all projects of the organization.

    By default, it has the scopes of the creator except `keys:write`, its agent and its end.
    """

    project_id: str = ""
    scopes: frozenset[Scope] | None = None
    agent: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_email: str | None = None
    days: int | None = None


def create_key(
    access_keys: AccessKeys, creator: AccessKey, new: NewKey, creation: Creation | None = None
) -> tuple[AccessKey, str | None]:
    """Create the key in the creator's organization; return it and its secret.

    If `creation` created it before, return that key, and None: nothing stores a secret.
    `creator` is the key of an organization. If it has a project, the new key is of this project.

    Raise InvalidRequestError for a project that the organization does not have, and ForbiddenError
    if the key would have more rights than the creator.
    """
    if creation and creation.is_retry and (key_id := creation.created_target()):
        created = access_keys.find_by_id(key_id)
        assert created is not None, "keys are never deleted"
        return created, None
    project_id = _project(access_keys, creator, new.project_id)
    scopes = creator.scopes - {MANAGE} if new.scopes is None else new.scopes
    if MANAGE in scopes and project_id:
        issue = f"{MANAGE} is only for a key of the organization: leave out project_id"
        raise InvalidRequestError({"scopes": issue})
    if issues := _excess_rights(creator, new, scopes):
        raise ForbiddenError(issues)
    secret = new_secret()
    key = AccessKey.of_secret(
        secret,
        org_id=creator.org_id,
        project_id=project_id,
        scopes=scopes,
        created_at=timestamp(),
        agent=new.agent or creator.agent,
        user_id=new.user_id,
        user_name=new.user_name,
        user_email=new.user_email,
        valid_until=creator.valid_until if new.days is None else _end_after(new.days),
    )
    created = access_keys.create(key, creation)
    return created, secret if created is key else None


def _project(access_keys: AccessKeys, creator: AccessKey, project_id: str) -> str:
    if creator.project_id and project_id not in ("", creator.project_id):
        raise InvalidRequestError({"project_id": "must be the project in X-Project-Id"})
    project_id = project_id or creator.project_id
    if project_id and not access_keys.is_project_of(project_id, creator.org_id):
        raise InvalidRequestError({"project_id": "is not a project of this organization"})
    return project_id


def _excess_rights(creator: AccessKey, new: NewKey, scopes: frozenset[Scope]) -> Mapping[str, str]:
    """Return an issue for each field with which the new key had more rights than its creator."""
    issues = {}
    if missing := sorted(scope for scope in scopes if not creator.has_scope(scope)):
        issues["scopes"] = f"the access key itself must have {', '.join(missing)}"
    if creator.agent is not None and new.agent not in (None, creator.agent):
        issues["agent"] = f"must be {creator.agent}, the agent of the access key"
    if creator.valid_until is not None and new.days is not None:
        left = (parse(creator.valid_until) - now()) // timedelta(days=1)
        if new.days > left:
            issues["days"] = (
                f"must be at most {left}: the access key itself ends at {creator.valid_until}."
                " Leave days out for a key that ends at the same time"
            )
    return issues


def _end_after(days: int) -> str:
    return timestamp(now() + timedelta(days=days))
