"""The endpoints of projects, the secrets that sign their deliveries, and the deliveries.

An endpoint and its secrets are two items, so a role can read the endpoint without its secrets. A
deletion sets `deleted_at` on the endpoint and overwrites its secrets. DynamoDB removes both items
by their `ttl`, and each delivery after 30 days.
"""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from runyard_service.adapters.conflict_retry import ROTATE_SECRET_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, Item, transact
from runyard_service.adapters.dynamodb.idempotency import Creation, deleted_error
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.sqs import MAX_DELAY_SECONDS
from runyard_service.domain.clock import timestamp, timestamp_in
from runyard_service.domain.request_errors import ConflictError, NotFoundError
from runyard_service.domain.webhooks import MAX_SECRETS, Delivery, Secret, Webhook, new_secret

# Each endpoint costs a message for each event.
MAX_WEBHOOKS = 20
# After this time the sweep sends a message again that SQS has lost.
TRIGGERED_SECONDS = 3600
DELIVERY_RETENTION_SECONDS = 30 * 24 * 3600
_DELIVERY_PROGRESS = frozenset(
    {"state", "failure", "round", "attempt_count", "attempts", "next_attempt_at"}
)


class Webhooks:
    """The endpoint items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(
        self, webhook: Webhook, creation: Creation | None = None
    ) -> tuple[Webhook, Secret | None]:
        """Store a new endpoint, and return it with its secret.

        If `creation` created it before, return the endpoint as it was then, and no secret. Raises
        ConflictError if it is deleted, or if the project has MAX_WEBHOOKS endpoints. The limit is
        approximate: concurrent calls may exceed it.
        """
        if creation and creation.is_retry and creation.created_sequence() is not None:
            return self._created(webhook), None
        if len(self.of_project(webhook.project_id)) >= MAX_WEBHOOKS:
            raise ConflictError({"webhooks": f"must be at most {MAX_WEBHOOKS} per project"})
        secret = new_secret(webhook.id)
        secrets = {**keys.webhook_secrets(webhook.id), "secrets": [_to_item(secret)], "version": 1}
        endpoint = {**keys.webhook(webhook.project_id, webhook.id), **webhook.model_dump()}
        changes = [self._table.put_change(item) for item in (endpoint, secrets)]
        if creation is not None:
            changes.append(creation.change())
        try:
            transact(self._table.client, changes)
        except ConditionFailedError:
            return self._created(webhook), None
        return webhook, secret

    def _created(self, webhook: Webhook) -> Webhook:
        """Return the endpoint as it was created first."""
        stored = self.get(webhook.project_id, webhook.id)
        if stored is None:
            raise deleted_error("webhook")
        at = stored.created_at
        return webhook.model_copy(update={"created_at": at, "updated_at": at})

    def get(self, project_id: str, webhook_id: str) -> Webhook | None:
        """Return the endpoint, or None."""
        item = self._table.get(keys.webhook(project_id, webhook_id))
        return None if item is None or "deleted_at" in item else Webhook.model_validate(item)

    def of_project(self, project_id: str) -> list[Webhook]:
        """Return the project's endpoints, oldest first."""
        items = self._table.query("#pk = :pk", {":pk": keys.webhook(project_id, "")["pk"]})
        webhooks = [Webhook.model_validate(item) for item in items if "deleted_at" not in item]
        return sorted(webhooks, key=lambda webhook: (webhook.created_at, webhook.id))

    def change(self, webhook: Webhook, fields: dict[str, Any]) -> Webhook:
        """Set fields of the endpoint. Raises NotFoundError if it is deleted."""
        fields = {**fields, "updated_at": timestamp()}
        try:
            self._table.update(
                keys.webhook(webhook.project_id, webhook.id), fields, only_if={"deleted_at": None}
            )
        except ConditionFailedError as error:
            raise NotFoundError from error
        return webhook.model_copy(update=fields)

    def delete(self, webhook: Webhook) -> None:
        """Delete the endpoint and its secrets. It receives no further events."""
        fields = {"deleted_at": timestamp(), "ttl": int(time.time()), "enabled": False}
        self._table.update(keys.webhook(webhook.project_id, webhook.id), fields)
        self._table.update(
            keys.webhook_secrets(webhook.id), {"secrets": [], "ttl": int(time.time())}
        )

    def secrets(self, webhook_id: str) -> list[Secret]:
        """Return the valid secrets, newest first; none for a deleted endpoint."""
        item = self._table.get(keys.webhook_secrets(webhook_id))
        return [secret for secret in _secrets_of(item) if secret.is_valid()]

    def rotate(self, webhook: Webhook, secret_id: str, overlap_seconds: float) -> Secret | None:
        """Add a new secret; the existing secrets stay valid for `overlap_seconds`.

        A repeated call with the same id changes nothing, and returns None. Raises NotFoundError if
        the endpoint is deleted, ConflictError if concurrent rotations conflict with every attempt.
        """
        key = keys.webhook_secrets(webhook.id)
        for attempt in retry_on_conflict(ROTATE_SECRET_ATTEMPTS, ConditionFailedError):
            item = self._table.get(key)
            valid = [secret for secret in _secrets_of(item) if secret.is_valid()]
            if item is None or not valid:
                raise NotFoundError
            if any(secret.id == secret_id for secret in valid):
                return None
            secret = new_secret(secret_id)
            old = _expire(valid, timestamp_in(overlap_seconds)) if overlap_seconds else []
            secrets = [secret, *old][:MAX_SECRETS]
            fields = {
                "secrets": [_to_item(secret) for secret in secrets],
                "version": int(item["version"]) + 1,
            }
            with attempt:
                # Conditional on the version that was read, so a concurrent rotation is not lost.
                self._table.update(key, fields, only_if={"version": item["version"]})
                return secret
        raise ConflictError({"secret": "is being rotated"})


class WebhookDeliveries:
    """The delivery items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create_if_absent(self, delivery: Delivery) -> Delivery:
        """Store the delivery, or return the existing delivery of this id, in any state."""
        item = {
            **keys.webhook_delivery(delivery.webhook_id, delivery.id),
            **_delivery_fields(delivery),
            "ttl": int(time.time()) + DELIVERY_RETENTION_SECONDS,
        }
        try:
            self._table.put(item, if_absent=True)
        except ConditionFailedError as error:
            stored = error.items[0]
            assert stored is not None, "a failed write returns the stored item"
            return _delivery_from_item(stored)
        return delivery

    def get(self, webhook_id: str, delivery_id: str) -> Delivery | None:
        """Return the delivery, or None."""
        item = self._table.get(keys.webhook_delivery(webhook_id, delivery_id))
        return _delivery_from_item(item) if item else None

    def newest(self, webhook_id: str, before: str | None, limit: int) -> list[Delivery]:
        """Return the endpoint's newest deliveries, newest first, with ids below `before`."""
        condition, values = "#pk = :pk", {":pk": keys.webhook_delivery(webhook_id, "")["pk"]}
        if before is not None:
            # DynamoDB rejects an empty string as a key value, so there is no lower bound.
            condition, values = f"{condition} AND #sk < :before", {**values, ":before": before}
        items = self._table.query(condition, values, descending=True, limit=limit)
        return [_delivery_from_item(item) for item in items]

    def change(self, seen: Delivery, changed: Delivery) -> bool:
        """Store the progress of a delivery; return False if it has changed since it was `seen`."""
        fields = _delivery_fields(changed)
        fields = {name: fields[name] for name in _DELIVERY_PROGRESS} | _sweep_fields(changed)
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

    def due(self, limit: int) -> list[Delivery]:
        """Return at most `limit` deliveries whose long pause is over."""
        found: list[Delivery] = []
        for shard in range(keys.OPEN_RUN_SHARDS):
            items = self._table.query(
                "#sweep_shard = :sweep_shard AND #sweep_at < :until",
                {":sweep_shard": keys.delivery_shard_name(shard), ":until": timestamp()},
                index=keys.OPEN_RUNS_INDEX,
                limit=limit - len(found),
            )
            # The index has only keys, and an entry can be older than its item.
            stored = [self._table.get({"pk": item["pk"], "sk": item["sk"]}) for item in items]
            deliveries = [_delivery_from_item(item) for item in stored if item]
            found += [delivery for delivery in deliveries if delivery.state == "pending"]
            if len(found) >= limit:
                break
        return found

    def postpone_trigger(self, delivery: Delivery) -> None:
        """Let the sweep ignore the delivery for TRIGGERED_SECONDS, in which its message arrives."""
        with suppress(ConditionFailedError):  # The attempt was made in the meantime.
            self._table.update(
                keys.webhook_delivery(delivery.webhook_id, delivery.id),
                {"sweep_at": timestamp_in(TRIGGERED_SECONDS)},
                only_if={
                    "state": "pending",
                    "round": delivery.round,
                    "next_attempt_at": delivery.next_attempt_at,
                },
            )


def _sweep_fields(delivery: Delivery) -> Item:
    """Return the index keys of a delivery; None removes a key, and the delivery from the index."""
    if delivery.state != "pending" or delivery.seconds_left() <= MAX_DELAY_SECONDS:
        return {"sweep_shard": None, "sweep_at": None}
    return {
        "sweep_shard": keys.delivery_shard(delivery.id),
        "sweep_at": delivery.next_attempt_at,
    }


def _expire(secrets: Sequence[Secret], end: str) -> list[Secret]:
    """Return the secrets with an expiry of at most `end`."""
    return [
        secret.model_copy(update={"expires_at": min(secret.expires_at or end, end)})
        for secret in secrets
    ]


def _to_item(secret: Secret) -> dict[str, str]:
    return {name: value for name, value in secret.model_dump().items() if value is not None}


def _secrets_of(item: dict[str, Any] | None) -> list[Secret]:
    return [Secret.model_validate(secret) for secret in item["secrets"]] if item else []


def _delivery_fields(delivery: Delivery) -> Item:
    fields = delivery.model_dump(exclude={"attempts"})
    attempts = [attempt.model_dump(exclude_none=True) for attempt in delivery.attempts]
    return {**fields, "attempts": json.dumps(attempts)}


def _delivery_from_item(item: Item) -> Delivery:
    return Delivery.model_validate({**item, "attempts": json.loads(item["attempts"])})
