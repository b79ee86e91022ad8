"""Read a run without a process whose calls are counted."""

from dataclasses import dataclass, field
from decimal import Decimal

from runyard_service.adapters.dynamodb.spending_ledger import DailyCap
from runyard_service.domain.clock import timestamp
from runyard_service.domain.history.history import History
from runyard_service.domain.ids import new_id
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.runs import Run
from tests.crashes.crash_harness import CrashHarness
from tests.support.state_machines import Execution


@dataclass
class RunObserver:
    """The record, the log, the executions and the open input requests of a run."""

    harness: CrashHarness
    run_id: str = field(default_factory=new_id, kw_only=True)

    @property
    def run(self) -> Run | None:
        """Return the record of the run, if it exists."""
        return self.harness.stores.runs.get(self.run_id)

    @property
    def executions(self) -> list[Execution]:
        """Return the executions of the run."""
        return self.harness.state_machines.of_run(self.run_id)

    @property
    def types(self) -> list[str]:
        """Return the types of the events, without deltas."""
        types = [event.type for event in self.harness.stores.log.events(self.run_id)]
        return [name for name in types if not name.endswith(".delta")]

    def open_requests(self) -> list[InputRequest]:
        """Return the open input requests of the run."""
        return self.harness.stores.input_requests.open_of_run(self.run_id)

    def sleeps(self) -> bool:
        """Return True if the own code of the run sleeps, and the run is paused."""
        history = History.of(self.harness.stores.log.events(self.run_id))
        return history.status == "paused" and bool(history.sleeps_until)

    def has_ended(self) -> bool:
        """Return True if the record has a final status."""
        return self.run is not None and self.run.has_ended

    def has_open_hold(self, agent: str) -> bool:
        """Return True if the run still has a hold on the money of the day."""
        run = self.run
        assert run is not None, "the run was started"
        cap = DailyCap(run.project_id, Decimal(1), agent)
        committed, spent = self.harness.stores.spending.totals(cap, timestamp()[:10])
        return committed != spent

    def describe_state(self) -> str:
        """Return the state of the run at this moment: its newest event, or what exists without."""
        run = self.run
        if run is None:
            return "nothing"
        events = [event.type for event in self.harness.stores.log.events(self.run_id)]
        if events:
            return f"`{events[-1]}`"
        return "a run and its execution" if self.executions else "a run without an execution"
