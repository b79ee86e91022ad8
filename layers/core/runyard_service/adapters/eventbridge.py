"""The event bus (EventBridge), where anybody in the account may listen."""

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
    """One bus, by its name."""

    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, notices: Sequence[Notification]) -> None:
        """Tell the notices, in their order; the event's type is the detail type.

        Raises StoreUnavailableError where one of them was not taken: all may then be told again.
        """
        for start in range(0, len(notices), _BATCH_ENTRIES):
            entries: list[Any] = [
                self._entry(notice) for notice in notices[start : start + _BATCH_ENTRIES]
            ]
            with translate_errors():
                answer: Mapping[str, Any] = self._client.put_events(Entries=entries)
            if answer.get("FailedEntryCount"):
                raise StoreUnavailableError("entries of a batch were not taken")

    def _entry(self, notice: Notification) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": notice.type,
            "Time": parse(notice.timestamp),
            "Detail": notice.detail(),
        }
