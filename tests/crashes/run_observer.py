"""A run as a test sees it, with no process in between."""

from dataclasses import dataclass, field
from decimal import Decimal

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.spending_ledger import DailyCap
from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.runs import Run
from tests.crashes.crash_harness import CrashHarness
from tests.crashes.state_machine import Execution


@dataclass
class RunObserver:
    """The run's record, its log, its executions, and what is still to be done about it."""

    world: CrashHarness
    run_id: str = field(default_factory=new_id, kw_only=True)

    @property
    def run(self) -> Run | None:
        """The run's record."""
        return self.world.stores.runs.get(self.run_id)

    @property
    def executions(self) -> list[Execution]:
        """The executions that have carried the run."""
        found = self.world.machine.executions.values()
        return [one for one in found if one.input["run_id"] == self.run_id]

    @property
    def types(self) -> list[str]:
        """The types of the log's events, without deltas."""
        types = [event.type for event in self.world.stores.log.events(self.run_id)]
        return [name for name in types if not name.endswith(".delta")]

    def open_requests(self) -> list[InputRequest]:
        """What the run asks now."""
        return self.world.stores.input_requests.open_of_run(self.run_id)

    def has_ended(self) -> bool:
        """Whether its record says so."""
        return self.run is not None and self.run.has_ended

    def due_in_seconds(self) -> float:
        """Seconds until the sweep would look at the run by itself."""
        item = self.world.stores.runs._table.get(keys.run(self.run_id))
        assert item is not None, "a run that stands still is there"
        return (parse(item["sweep_at"]) - now()).total_seconds()

    def holds(self, agent: str) -> bool:
        """Whether money is held that nobody will spend."""
        run = self.run
        assert run is not None, "a run that was started is there"
        cap = DailyCap(run.project_id, Decimal(1), agent)
        committed, spent = self.world.stores.spending.totals(cap, timestamp()[:10])
        return committed != spent

    def what_is_left(self) -> str:
        """What there is of the run at this moment, by its newest event."""
        run = self.run
        if run is None:
            return "nothing"
        events = [event.type for event in self.world.stores.log.events(self.run_id)]
        if events:
            return f"`{events[-1]}`"
        return "a run and its execution" if self.executions else "a run without an execution"
