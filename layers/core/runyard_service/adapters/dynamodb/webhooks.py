"""The endpoints of projects, the secrets that sign their deliveries, and the deliveries.

An endpoint and its secrets are two items, so that a role can read one without the other. Runyard
marks a deleted endpoint and overwrites its secrets. DynamoDB removes both, and each delivery after
30 days, by their `ttl`.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

from runyard_service.adapters.conflict_retry import ROTATE_SECRET_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, Item, transact
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import timestamp, timestamp_in
from runyard_service.domain.errors import ConflictError, NotFoundError
from runyard_service.domain.webhooks import MAX_SECRETS, Delivery, Secret, Webhook, new_secret

# Each of them costs a message per event.
MAX_WEBHOOKS = 20
DELIVERY_RETENTION_SECONDS = 30 * 24 * 3600
_DELIVERY_PROGRESS = frozenset(
    {"state", "failure", "round", "attempt_count", "attempts", "next_attempt_at"}
)


class Webhooks:
    """The endpoint items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(self, webhook: Webhook) -> tuple[Webhook, Secret]:
        """Keep a new endpoint with a new secret; one of this id that is there already is given.

        Raises ConflictError where the project has as many as it may have (roughly: two at the same
        moment may both be the last).
        """
        if (known := self.get(webhook.project_id, webhook.id)) is not None:
            return known, self.secrets(webhook.id)[0]
        if len(self.of_project(webhook.project_id)) >= MAX_WEBHOOKS:
            raise ConflictError({"webhooks": f"must be at most {MAX_WEBHOOKS} per project"})
        secret = new_secret(webhook.id)
        kept = {**keys.webhook_secrets(webhook.id), "secrets": [_stored(secret)], "version": 1}
        item = {**keys.webhook(webhook.project_id, webhook.id), **webhook.model_dump()}
        changes = [self._table.put_change(one, if_absent=True) for one in (item, kept)]
        try:
            transact(self._table.client, changes)
        except ConditionFailedError as error:
            # A twin of the request, or boto3 that sent it again, was first.
            if (known := self.get(webhook.project_id, webhook.id)) is None:
                raise ConflictError({"webhook": "was deleted"}) from error
            return known, self.secrets(webhook.id)[0]
        return webhook, secret

    def get(self, project_id: str, webhook_id: str) -> Webhook | None:
        """The endpoint, or None."""
        item = self._table.get(keys.webhook(project_id, webhook_id))
        return None if item is None or "deleted_at" in item else Webhook.model_validate(item)

    def of_project(self, project_id: str) -> list[Webhook]:
        """The project's endpoints, oldest first."""
        found = self._table.query("#pk = :pk", {":pk": keys.webhook(project_id, "")["pk"]})
        webhooks = [Webhook.model_validate(item) for item in found if "deleted_at" not in item]
        return sorted(webhooks, key=lambda webhook: (webhook.created_at, webhook.id))

    def change(self, webhook: Webhook, fields: dict[str, Any]) -> Webhook:
        """Set fields of the endpoint. Raises NotFoundError where it is gone."""
        fields = {**fields, "updated_at": timestamp()}
        try:
            self._table.update(
                keys.webhook(webhook.project_id, webhook.id), fields, only_if={"deleted_at": None}
            )
        except ConditionFailedError as error:
            raise NotFoundError from error
        return webhook.model_copy(update=fields)

    def delete(self, webhook: Webhook) -> None:
        """From now on nothing is told to the endpoint, and its secrets are no more."""
        gone = {"deleted_at": timestamp(), "ttl": int(time.time()), "enabled": False}
        self._table.update(keys.webhook(webhook.project_id, webhook.id), gone)
        self._table.update(
            keys.webhook_secrets(webhook.id), {"secrets": [], "ttl": int(time.time())}
        )

    def secrets(self, webhook_id: str) -> list[Secret]:
        """The secrets that are good now, the newest first; none of a deleted endpoint."""
        item = self._table.get(keys.webhook_secrets(webhook_id))
        return [secret for secret in _secrets(item) if secret.is_valid()]

    def rotate(self, webhook: Webhook, secret_id: str, overlap_seconds: float) -> Secret:
        """Give the endpoint a new secret; the present ones stay good for `overlap_seconds` more.

        Asked again under the same id, it gives the same secret. Raises NotFoundError where the
        endpoint is gone, ConflictError where it is rotated time and again at this moment.
        """
        key = keys.webhook_secrets(webhook.id)
        for attempt in retry_on_conflict(ROTATE_SECRET_ATTEMPTS):
            item = self._table.get(key)
            present = [secret for secret in _secrets(item) if secret.is_valid()]
            if item is None or not present:
                raise NotFoundError
            for secret in present:
                if secret.id == secret_id:
                    return secret
            secret = new_secret(secret_id)
            rest = _ended(present, timestamp_in(overlap_seconds)) if overlap_seconds else []
            kept = [secret, *rest][:MAX_SECRETS]
            fields = {
                "secrets": [_stored(one) for one in kept],
                "version": int(item["version"]) + 1,
            }
            with attempt:
                # Conditional on the version that was read: two rotations keep both secrets.
                self._table.update(key, fields, only_if={"version": item["version"]})
                return secret
        raise ConflictError({"secret": "is being rotated"})


class WebhookDeliveries:
    """The delivery items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create_if_absent(self, delivery: Delivery) -> Delivery:
        """Keep the delivery, or give the one of its id that is there, however far it has come."""
        item = {
            **keys.webhook_delivery(delivery.webhook_id, delivery.id),
            **_delivery_fields(delivery),
            "ttl": int(time.time()) + DELIVERY_RETENTION_SECONDS,
        }
        try:
            self._table.put(item, if_absent=True)
        except ConditionFailedError as error:
            found = error.items[0]
            assert found is not None, "a failed put comes with what stands there"
            return _delivery_from_item(found)
        return delivery

    def get(self, webhook_id: str, delivery_id: str) -> Delivery | None:
        """The delivery, or None."""
        item = self._table.get(keys.webhook_delivery(webhook_id, delivery_id))
        return _delivery_from_item(item) if item else None

    def newest(self, webhook_id: str, before: str | None, limit: int) -> list[Delivery]:
        """The endpoint's newest deliveries, newest first; with `before`, only older ones."""
        condition, values = "#pk = :pk", {":pk": keys.webhook_delivery(webhook_id, "")["pk"]}
        if before is not None:
            # DynamoDB rejects an empty string as a key value, so there is no lower bound.
            condition, values = f"{condition} AND #sk < :before", {**values, ":before": before}
        found = self._table.query(condition, values, descending=True, limit=limit)
        return [_delivery_from_item(item) for item in found]

    def change(self, seen: Delivery, changed: Delivery) -> bool:
        """Keep what has become of a delivery; False where it is no longer as it was `seen`."""
        fields = _delivery_fields(changed)
        fields = {name: fields[name] for name in _DELIVERY_PROGRESS}
        try:
            self._table.update(
                keys.webhook_delivery(seen.webhook_id, seen.id),
                fields,
                only_if={
                    "state": seen.state,
                    "round": seen.round,
                    "attempt_count": seen.attempt_count,
                },
            )
        except ConditionFailedError:
            return False
        return True


def _ended(present: Sequence[Secret], end: str) -> list[Secret]:
    """The secrets with an end; one that had an earlier one keeps it."""
    return [
        secret.model_copy(update={"expires_at": min(secret.expires_at or end, end)})
        for secret in present
    ]


def _stored(secret: Secret) -> dict[str, str]:
    return {name: value for name, value in secret.model_dump().items() if value is not None}


def _secrets(item: dict[str, Any] | None) -> list[Secret]:
    return [Secret.model_validate(one) for one in item["secrets"]] if item else []


def _delivery_fields(delivery: Delivery) -> Item:
    fields = delivery.model_dump(exclude={"attempts"})
    attempts = [attempt.model_dump(exclude_none=True) for attempt in delivery.attempts]
    return {**fields, "attempts": json.dumps(attempts)}


def _delivery_from_item(item: Item) -> Delivery:
    return Delivery.model_validate({**item, "attempts": json.loads(item["attempts"])})
