"""What was sent to each endpoint, or is to be: one item a delivery, kept for 30 days."""

import json
import time

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, Item
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.webhooks import Delivery

KEPT_SECONDS = 30 * 24 * 3600
_CHANGING = frozenset({"state", "failure", "round", "tries", "attempts", "next_attempt_at"})


class WebhookDeliveries:
    """The delivery items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def ensure(self, delivery: Delivery) -> Delivery:
        """Keep the delivery, or give the one of its id that is there, however far it has come."""
        item = {
            **keys.webhook_delivery(delivery.webhook_id, delivery.id),
            **_fields(delivery),
            "ttl": int(time.time()) + KEPT_SECONDS,
        }
        try:
            self._table.put(item, if_absent=True)
        except ConditionFailedError as error:
            found = error.items[0]
            assert found is not None, "a failed put comes with what stands there"
            return _from_item(found)
        return delivery

    def get(self, webhook_id: str, delivery_id: str) -> Delivery | None:
        """The delivery, or None."""
        item = self._table.get(keys.webhook_delivery(webhook_id, delivery_id))
        return _from_item(item) if item else None

    def newest(self, webhook_id: str, before: str | None, limit: int) -> list[Delivery]:
        """The endpoint's newest deliveries, newest first; with `before`, only older ones."""
        start, end = keys.webhook_delivery(webhook_id, ""), before or "~"
        until = keys.webhook_delivery(webhook_id, end)["sk"]
        # One more than asked for: BETWEEN includes `before` itself.
        found = self._table.query(
            "#pk = :pk AND #sk BETWEEN :from AND :until",
            {":pk": start["pk"], ":from": start["sk"], ":until": until},
            descending=True,
            limit=limit + 1,
        )
        deliveries = [_from_item(item) for item in found]
        return [delivery for delivery in deliveries if delivery.id != before][:limit]

    def change(self, seen: Delivery, changed: Delivery) -> bool:
        """Keep what has become of a delivery; False where it is no longer as it was `seen`."""
        fields = _fields(changed)
        fields = {name: fields[name] for name in _CHANGING}
        try:
            self._table.update(
                keys.webhook_delivery(seen.webhook_id, seen.id),
                fields,
                only_if={"state": seen.state, "round": seen.round, "tries": seen.tries},
            )
        except ConditionFailedError:
            return False
        return True


def _fields(delivery: Delivery) -> Item:
    fields = delivery.model_dump(exclude={"attempts"})
    attempts = [attempt.model_dump(exclude_none=True) for attempt in delivery.attempts]
    return {**fields, "attempts": json.dumps(attempts)}


def _from_item(item: Item) -> Delivery:
    return Delivery.model_validate({**item, "attempts": json.loads(item["attempts"])})
