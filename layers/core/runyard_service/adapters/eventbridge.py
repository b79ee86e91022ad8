"""The event bus (EventBridge), to which every service in the account may subscribe."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.domain.clock import parse
from runyard_service.domain.errors import StoreUnavailableError
from runyard_service.domain.notifications import Notification

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "runyard"
_BATCH_ENTRIES = 10


class EventBus:
    """An event bus, by its name."""

    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, notifications: Sequence[Notification]) -> None:
        """Publish the notifications in their order; the event's type is the detail type.

        Raises StoreUnavailableError if EventBridge rejects an entry. The caller may then publish
        all notifications again.
        """
        for start in range(0, len(notifications), _BATCH_ENTRIES):
            entries: list[Any] = [
                self._entry(notification)
                for notification in notifications[start : start + _BATCH_ENTRIES]
            ]
            with translate_errors():
                response: Mapping[str, Any] = self._client.put_events(Entries=entries)
            if response.get("FailedEntryCount"):
                raise StoreUnavailableError("entries of a batch were not accepted")

    def _entry(self, notification: Notification) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": notification.type,
            "Time": parse(notification.timestamp),
            "Detail": notification.detail(),
        }
