"""The dependencies of the API routes. The container builds them; tests pass their own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from runyard_service.adapters.secrets import TicketKeys
from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.adapters.stores import Stores
from runyard_service.agents.registry import Registry
from runyard_service.application.streams.follow_events import FollowedRuns
from runyard_service.application.streams.tail import PollBackoff
from runyard_service.settings import Settings


@dataclass(frozen=True)
class Services:
    """The settings, the stores and the clients of one API process."""

    settings: Settings
    stores: Stores
    orchestrator: Orchestrator
    catalog: Registry
    ticket_keys: TicketKeys
    """The keys that sign stream tickets."""
    connect_delivery_queue: Callable[[], DeliveryQueue]
    """Returns the queue of webhook deliveries. Only some webhook routes need a client for it."""

    @property
    def delivery_queue(self) -> DeliveryQueue:
        """The queue of webhook deliveries."""
        return self.connect_delivery_queue()

    @cached_property
    def followed_runs(self) -> FollowedRuns:
        """The runs that the streams of this process follow."""
        pace = PollBackoff(self.settings.poll_min_ms / 1000, self.settings.poll_max_ms / 1000)
        return FollowedRuns(self.stores.log, pace)
