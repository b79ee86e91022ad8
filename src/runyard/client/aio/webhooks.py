"""`client.webhooks`: endpoints, their deliveries, and signatures."""

from collections.abc import AsyncIterator, Sequence

from runyard.client.aio.transport import AsyncTransport
from runyard.client.core import webhooks
from runyard.client.core.requests import set_fields
from runyard.client.models import Delivery, Webhook


class AsyncWebhooks:
    """The webhooks of the project."""

    verify = staticmethod(webhooks.verify)

    def __init__(self, transport: AsyncTransport) -> None:
        self.transport = transport

    async def create(
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
        return await self.transport.run(webhooks.create(body))

    def list(self) -> AsyncIterator[Webhook]:
        """Yield all endpoints, oldest first."""
        return self.transport.iterate(webhooks.list_webhooks())

    async def get(self, webhook_id: str) -> Webhook:
        """Return the endpoint."""
        return await self.transport.run(webhooks.get(webhook_id))

    async def update(
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
        return await self.transport.run(webhooks.update(webhook_id, body))

    async def delete(self, webhook_id: str) -> None:
        """Delete the endpoint. Its pending deliveries are not sent."""
        await self.transport.run(webhooks.delete(webhook_id))

    async def rotate_secret(self, webhook_id: str, *, overlap_hours: int | None = None) -> Webhook:
        """Create a new secret. Both sign deliveries for `overlap_hours`, by default 24.

        The result has the secret. After a retry it has none: then rotate again.
        """
        body = set_fields(overlap_hours=overlap_hours)
        return await self.transport.run(webhooks.rotate_secret(webhook_id, body))

    async def test(self, webhook_id: str) -> Delivery:
        """Send a `webhook.ping`."""
        return await self.transport.run(webhooks.test(webhook_id))

    def deliveries(self, webhook_id: str) -> AsyncIterator[Delivery]:
        """Yield the deliveries of the last 30 days, newest first."""
        return self.transport.iterate(webhooks.list_deliveries(webhook_id, {}))

    async def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Return a delivery with its payload and its attempts."""
        return await self.transport.run(webhooks.get_delivery(webhook_id, delivery_id))

    async def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send a delivery again under the same id."""
        return await self.transport.run(webhooks.redeliver(webhook_id, delivery_id))
