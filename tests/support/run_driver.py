"""Runs that a test advances itself, in place of the state machine and the functions."""

from typing import Any

from runyard_service.adapters.step_functions import NOTHING_TO_WAIT_FOR, Orchestrator, WaitSpec
from runyard_service.adapters.stores import Stores
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.steps.advance_run import AdvanceResult, advance_run
from runyard_service.application.steps.run_context import WorkerDeps
from runyard_service.domain.events import Event
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.runs import Execution, Run
from runyard_service.event_loops import run_async
from tests.support.scripted_agents import ask, scripted_worker


class ManualOrchestrator(Orchestrator):
    """A fake: the test does the work of the state machine, and checks the returned tokens."""

    def __init__(self) -> None:
        self.resumed: list[str] = []

    def start(self, execution: Execution, wait: WaitSpec = NOTHING_TO_WAIT_FOR) -> None:
        """Do nothing: the test advances the run."""

    def stop(self, execution: Execution) -> None:
        """Do nothing: there is no execution to stop."""

    def resume(self, token: str) -> bool:
        """Record the token."""
        self.resumed.append(token)
        return True


class RunDriver:
    """Call the functions of the state machine for runs, and read their logs."""

    def __init__(
        self,
        stores: Stores,
        orchestrator: Orchestrator | None = None,
        worker: WorkerDeps | None = None,
    ) -> None:
        self.stores = stores
        self.orchestrator = orchestrator or ManualOrchestrator()
        self.worker = worker or scripted_worker(stores)

    def advance(self, run: Run, seconds: float = 700) -> AdvanceResult:
        """Run an invocation of run_step that has `seconds` left."""
        return run_async(advance_run(self.worker, run.current_execution, seconds))

    def ask(self, run: Run, token: str = "token", met: AdvanceResult | None = None) -> bool:
        """Run an invocation of request_input, with the reached limit if there is one."""
        return ask(self.stores, run.current_execution, token, met)

    def pause(self, run: Run) -> None:
        """Advance the run until it waits."""
        assert self.advance(run).outcome == "needs_input"
        assert self.ask(run)

    def answer(self, run: Run, **content: Any) -> None:
        """Answer the oldest open input request."""
        request = self.stores.input_requests.open_of_run(run.id)[0]
        answer = Answer(type=request.type, request_id=request.id, **content)
        submit_input(self.stores, self.orchestrator, run.id, answer, "user-1")

    def record(self, run: Run) -> Run:
        """Return the stored record of the run."""
        found = self.stores.runs.get(run.id)
        assert found is not None
        return found

    def events(self, run: Run) -> list[Event]:
        """Return the log without deltas."""
        events = self.stores.log.events(run.id)
        return [event for event in events if not event.type.endswith(".delta")]

    def types(self, run: Run) -> list[str]:
        """Return the event types of the log, without deltas."""
        return [event.type for event in self.events(run)]
