"""One run from its start to its end, with everybody who has a part in it, and at most one fault.

The callers, the person, the sweep and the rule on dead executions do what they do in production:
a caller who got no answer asks again, or does not; the sweep looks at what stands still.
"""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.application.runs.start_run import start_run
from runyard_service.application.steps.next_action import DOUBT_CHOICES
from runyard_service.container import container
from runyard_service.domain.errors import RetryableError, UnavailableError
from runyard_service.domain.input_requests import Answer, InputRequest
from tests.crashes.crash_harness import VERBS, forget_process
from tests.crashes.interruptions import Caller, FaultAt, Helpers, InterruptedProcess, Meanwhile
from tests.crashes.run_observer import RunObserver
from tests.crashes.state_machine import TaskFailedError
from tests.fault_injection.faults import InterceptedCall, ProcessKilledError

if TYPE_CHECKING:
    from tests.crashes.scenarios import Scenario

_ATTEMPTS = 6


@dataclass
class ScenarioRun(RunObserver):
    """What happens to one run; `calls` are those of each verb, in their order."""

    scenario: "Scenario"
    at: FaultAt | None = None
    caller: Caller = "stubborn"
    meanwhile: Meanwhile | None = None
    calls: dict[str, list[InterceptedCall]] = field(default_factory=dict)
    helpers: Helpers = field(default_factory=Helpers)
    has_met: bool = False
    left: str = ""
    due_in: float = 0
    acknowledged: list[Answer] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    _counted: dict[str, Counter[str]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def go(self) -> None:
        """From the start to the end, and to the end of whatever is still at work then."""
        forget_process()
        self.world.machine.refusals = self.world.short_turns = 0
        self.scenario.prepare(self)
        self.start()
        for _ in range(10):
            self.settle()
            run = self.run
            assert run is not None, "a run that was started is there"
            if run.has_ended:
                break
            self.scenario.when_it_waits(self)
        self._end_waits()
        self._free_what_is_held()
        self.helpers.machine = sum(one.retries for one in self.executions)

    # --- the callers ---------------------------------------------------------------------------

    def start(self) -> None:
        """Somebody starts the run, under an id that an Idempotency-Key has given it."""

        def work() -> None:
            snapshot, wanted = self.scenario.wanted(self)
            start_run(container().stores, container().orchestrator, snapshot, wanted)

        self._call("start_run", work, lambda: self.run is not None)

    def answer(self, request: InputRequest, **said: Any) -> None:
        """Somebody answers."""
        answer = Answer(type=request.type, request_id=request.id, **said)

        def work() -> None:
            stores, orchestrator = container().stores, container().orchestrator
            submit_input(stores, orchestrator, self.run_id, answer, "somebody")
            self.acknowledged.append(answer)

        self._call("submit_input", work, lambda: not self._is_open(request))

    def cancel(self, *, concurrent: bool = False) -> None:
        """Cancel the run; `concurrent` when a worker executes at the same time."""

        def work() -> None:
            cancel_run(
                container().stores,
                container().orchestrator,
                self.run_id,
                "somebody",
            )

        self._call("cancel_run", work, self.has_ended, concurrent=concurrent)

    def _call(
        self,
        verb: str,
        work: Callable[[], None],
        is_done: Callable[[], bool],
        *,
        concurrent: bool = False,
    ) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._attempt(verb, work, concurrent=concurrent)
            except (ProcessKilledError, RetryableError, UnavailableError):
                if self.caller == "gone" and attempt == 0 and not concurrent:
                    self.settle()
                    if is_done():
                        return
                self.helpers.caller += 1
            else:
                return
        raise AssertionError(f"{verb} did not succeed")

    def _is_open(self, request: InputRequest) -> bool:
        found = self.world.stores.input_requests.get(self.run_id, request.id)
        return found is not None and found.state == "open"

    def is_in_doubt(self, request: InputRequest) -> bool:
        """Whether the question is about a call that may have been made."""
        return request.params.get("choices") == list(DOUBT_CHOICES)

    def resolve(self, request: InputRequest) -> None:
        """A person looks at the till, and decides about a call in doubt."""
        was_made = self.world.till.charges[str(request.tool_call_id)] > 0
        self.helpers.person += 1
        self.answer(request, feedback="skip" if was_made else "repeat")

    # --- the platform --------------------------------------------------------------------------

    def settle(self) -> None:
        """Whatever can go on goes on, until the run has ended or a person has to act."""
        for _ in range(_ATTEMPTS):
            self._pump()
            run = self.run
            if run is None or run.has_ended or (run.open_requests and self._waits()):
                return
            self.due_in = max(self.due_in, self.due_in_seconds())
            self.sweep()
        raise AssertionError(f"the run stands still: {self.run}, {self.executions}")

    def _end_waits(self) -> None:
        """An execution that was not stopped waits on for a run that has ended, until its timer."""
        for execution in self.executions:
            if execution.is_waiting:
                self.helpers.timer += 1
                self.world.machine.time_out(execution)
        self._pump()

    def _free_what_is_held(self) -> None:
        """The sweep gives back what an ended run still holds of a day's money."""
        if self.holds(self.scenario.agent):
            self.helpers.late_sweep += 1
            self.sweep()

    def _waits(self) -> bool:
        return any(one.is_waiting for one in self.executions)

    def _pump(self) -> None:
        while True:
            at_work = [one for one in self.executions if one.can_go_on]
            for execution in at_work:
                self.world.machine.step(execution, self.invoke)
            self._tell_of_dead_executions()
            if not at_work:
                return

    def _tell_of_dead_executions(self) -> None:
        """The rule on the execution's status, which tries a lost invocation twice more."""
        for execution in self.executions:
            if execution.status in ("FAILED", "ABORTED") and execution.name not in self._told:
                self._told.add(execution.name)
                was_live = not self.has_ended()
                detail = {
                    "name": execution.name,
                    "status": execution.status,
                    "input": json.dumps(execution.input),
                }
                for _ in range(3):
                    with suppress(TaskFailedError):
                        self.invoke("close_run", {"detail": detail})
                        break
                self.helpers.rule += was_live

    def sweep(self, *, concurrent: bool = False) -> None:
        """The sweep comes by; one that fails comes again."""
        for _ in range(3):
            with suppress(TaskFailedError):
                counts = self.invoke("sweep", {"everything": True}, concurrent=concurrent)
                self.helpers.sweep += counts["restarted"] + counts["resumed"]
                return

    def invoke(self, function: str, payload: Any, *, concurrent: bool = False) -> Any:
        """One invocation. Raises TaskFailedError, under the name that the state machine sees."""
        verb = VERBS.get(function, function)
        try:
            return self._attempt(
                verb, lambda: self.world.invoke(function, payload), concurrent=concurrent
            )
        except ProcessKilledError as error:
            raise TaskFailedError("Runtime.ExitError") from error
        # As Lambda, which reports whatever is raised.
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error

    def _attempt(self, verb: str, work: Callable[[], Any], *, concurrent: bool = False) -> Any:
        fault = self.at.fault if self.at and self.at.verb == verb else None
        process = InterruptedProcess(fault, self._counted.setdefault(verb, Counter()))
        if self.meanwhile and self.meanwhile.verb == verb:
            process.meanwhile = self.meanwhile
        try:
            with self.world.working(process, concurrent=concurrent):
                return work()
        finally:
            self.calls.setdefault(verb, []).extend(process.calls)
            if process.has_met:
                self.has_met = True
                self.left = self.left or self.what_is_left()
