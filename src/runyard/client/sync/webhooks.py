"""`client.webhooks`: endpoints, their deliveries, and signatures."""

from collections.abc import Iterator, Sequence

from runyard.client.core import webhooks
from runyard.client.core.requests import set_fields
from runyard.client.models import Delivery, Webhook
from runyard.client.sync.transport import Transport


class Webhooks:
    """The webhooks of the project."""

    verify = staticmethod(webhooks.verify)

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Register an endpoint for all events, or for those that match `events`.

        The result has the secret. After a retry it has none: then rotate the secret.
        """
        body = set_fields(url=url, events=events, description=description, enabled=enabled)
        return self.transport.run(webhooks.create(body))

    def list(self) -> Iterator[Webhook]:
        """Yield all endpoints, oldest first."""
        return self.transport.iterate(webhooks.list_webhooks())

    def get(self, webhook_id: str) -> Webhook:
        """Return the endpoint."""
        return self.transport.run(webhooks.get(webhook_id))

    def update(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change the fields that are not None."""
        body = set_fields(url=url, events=events, description=description, enabled=enabled)
        return self.transport.run(webhooks.update(webhook_id, body))

    def delete(self, webhook_id: str) -> None:
        """Delete the endpoint. Its pending deliveries are not sent."""
        self.transport.run(webhooks.delete(webhook_id))

    def rotate_secret(self, webhook_id: str, *, overlap_hours: int | None = None) -> Webhook:
        """Create a new secret. Both sign deliveries for `overlap_hours`, by default 24.

        The result has the secret. After a retry it has none: then rotate again.
        """
        body = set_fields(overlap_hours=overlap_hours)
        return self.transport.run(webhooks.rotate_secret(webhook_id, body))

    def test(self, webhook_id: str) -> Delivery:
        """Send a `webhook.ping`."""
        return self.transport.run(webhooks.test(webhook_id))

    def deliveries(self, webhook_id: str) -> Iterator[Delivery]:
        """Yield the deliveries of the last 30 days, newest first."""
        return self.transport.iterate(webhooks.list_deliveries(webhook_id, {}))

    def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Return a delivery with its payload and its attempts."""
        return self.transport.run(webhooks.get_delivery(webhook_id, delivery_id))

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send a delivery again under the same id."""
        return self.transport.run(webhooks.redeliver(webhook_id, delivery_id))
