"""Execute a scenario: one run from its start to its end, with at most one fault.

Callers, people, the sweep and the rule on failed executions act as in production. A caller without
a response repeats the request, or does not. The sweep recovers runs that do not continue.
"""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.own_code.migrate_run import migrate_run
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.application.runs.start_run import start_run
from runyard_service.application.steps.tool_calls.requested_input import DOUBT_CHOICES
from runyard_service.container import container
from runyard_service.domain.errors import RetryableError
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.request_errors import UnavailableError
from tests.crashes.crash_harness import USE_CASES, discard_process
from tests.crashes.interruptions import (
    Caller,
    FaultAt,
    InterruptedProcess,
    Interruption,
    Recoveries,
)
from tests.crashes.own_agent import FUNCTION
from tests.crashes.run_observer import RunObserver
from tests.fault_injection.faults import InterceptedCall, ProcessKilledError
from tests.support.state_machines import TaskFailedError

if TYPE_CHECKING:
    from tests.crashes.scenarios import Scenario

_ATTEMPTS = 6


@dataclass
class ScenarioRun(RunObserver):
    """The execution of one scenario; `calls` has the calls of each use case in order."""

    scenario: "Scenario"
    fault_at: FaultAt | None = None
    caller: Caller = "persistent"
    interruption: Interruption | None = None
    calls: dict[str, list[InterceptedCall]] = field(default_factory=dict)
    recoveries: Recoveries = field(default_factory=Recoveries)
    fault_occurred: bool = False
    state_after_fault: str = ""
    acknowledged: list[Answer] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    _call_counts: dict[str, Counter[str]] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)

    def execute(self) -> None:
        """Start the run, and continue until the run and all its executions have ended."""
        discard_process()
        self.harness.state_machines.failing_calls = self.harness.short_invocations = 0
        self.scenario.prepare(self)
        self.start()
        for _ in range(10):
            self.run_until_idle()
            run = self.run
            assert run is not None, "the run was started"
            if run.has_ended:
                break
            self.scenario.handle_wait(self)
        self._end_waits()
        self._release_hold()
        self.recoveries.state_machine = sum(one.retries for one in self.executions)

    # --- the callers ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the run; its id is fixed, as with an Idempotency-Key."""

        def work() -> None:
            snapshot, new_run = self.scenario.make_new_run(self)
            start_run(container().stores, container().orchestrator, snapshot, new_run)

        self._call("start_run", work, lambda: self.run is not None)

    def answer(self, request: InputRequest, *, concurrent: bool = False, **content: Any) -> None:
        """Answer the input request; `concurrent` when a worker executes at the same time."""
        answer = Answer(type=request.type, request_id=request.id, **content)

        def work() -> None:
            stores, orchestrator = container().stores, container().orchestrator
            submit_input(stores, orchestrator, self.run_id, answer, "user")
            self.acknowledged.append(answer)

        is_done = partial(self._is_closed, request)
        self._call("submit_input", work, is_done, concurrent=concurrent)

    def migrate(self, version: str) -> None:
        """Move the run to another version of its own code."""

        def work() -> None:
            migrate_run(container().stores, self.run_id, version, FUNCTION, "key")

        self._call("migrate_run", work, lambda: "run.code_changed" in self.types)

    def cancel(self, *, concurrent: bool = False) -> None:
        """Cancel the run; `concurrent` when a worker executes at the same time."""

        def work() -> None:
            cancel_run(container().stores, container().orchestrator, self.run_id, "user")

        self._call("cancel_run", work, self.has_ended, concurrent=concurrent)

    def _call(
        self,
        use_case: str,
        work: Callable[[], None],
        is_done: Callable[[], bool],
        *,
        concurrent: bool = False,
    ) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                self._attempt(use_case, work, concurrent=concurrent)
            except (ProcessKilledError, RetryableError, UnavailableError):
                if self.caller == "gone" and attempt == 0 and not concurrent:
                    self.run_until_idle()
                    if is_done():
                        return
                self.recoveries.caller += 1
            else:
                return
        raise AssertionError(f"{use_case} did not succeed")

    def _is_closed(self, request: InputRequest) -> bool:
        found = self.harness.stores.input_requests.get(self.run_id, request.id)
        return found is None or found.state != "open"

    def is_in_doubt(self, request: InputRequest) -> bool:
        """Return True if the request asks about a call that may have been made."""
        return request.params.get("choices") == list(DOUBT_CHOICES)

    def decide_doubt(self, request: InputRequest) -> None:
        """Decide about a call in doubt, as a person who looks up the charge."""
        was_made = self.harness.payment_server.charges[str(request.tool_call_id)] > 0
        self.recoveries.person += 1
        self.answer(request, feedback="skip" if was_made else "repeat")

    # --- the platform --------------------------------------------------------------------------

    def run_until_idle(self) -> None:
        """Continue until the run has ended, or until a person has to act."""
        for _ in range(_ATTEMPTS):
            self._run_executions()
            run = self.run
            if run is None or run.has_ended:
                return
            if (run.open_requests or self.sleeps()) and self._waits():
                return
            self.sweep()
        raise AssertionError(f"the run does not continue: {self.run}, {self.executions}")

    def _end_waits(self) -> None:
        """Time out the executions that still wait after the end of the run."""
        for execution in self.executions:
            if execution.is_waiting:
                self.recoveries.timer += 1
                self.harness.state_machines.time_out(execution)
        self._run_executions()

    def _release_hold(self) -> None:
        """Let the sweep release the hold of an ended run on the money of the day."""
        if self.has_open_hold(self.scenario.agent):
            self.recoveries.late_sweep += 1
            self.sweep()

    def _waits(self) -> bool:
        return any(one.is_waiting for one in self.executions)

    def _run_executions(self) -> None:
        while True:
            runnable = [one for one in self.executions if one.is_runnable]
            for execution in runnable:
                self.harness.state_machines.run_task(execution, self.invoke)
            self._report_failed_executions()
            if not runnable:
                return

    def _report_failed_executions(self) -> None:
        """Invoke close_run as the EventBridge rule does: at most three times for each execution."""
        for execution in self.executions:
            if execution.status in ("FAILED", "ABORTED") and execution.name not in self._reported:
                self._reported.add(execution.name)
                was_active = not self.has_ended()
                detail = {
                    "name": execution.name,
                    "status": execution.status,
                    "input": json.dumps(execution.input),
                }
                for _ in range(3):
                    with suppress(TaskFailedError):
                        self.invoke("close_run", {"detail": detail})
                        break
                self.recoveries.rule += was_active

    def sweep(self, *, concurrent: bool = False) -> None:
        """Invoke the sweep; repeat it if it fails."""
        for _ in range(3):
            with suppress(TaskFailedError):
                counts = self.invoke("sweep", {"everything": True}, concurrent=concurrent)
                self.recoveries.sweep += counts["restarted"] + counts["resumed"]
                return

    def invoke(self, function: str, payload: Any, *, concurrent: bool = False) -> Any:
        """Invoke a function. Raise TaskFailedError with the error name for the state machine."""
        use_case = USE_CASES.get(function, function)
        try:
            return self._attempt(
                use_case, lambda: self.harness.invoke(function, payload), concurrent=concurrent
            )
        except ProcessKilledError as error:
            raise TaskFailedError("Runtime.ExitError") from error
        # Lambda reports every error by the name of its class.
        except Exception as error:
            raise TaskFailedError(type(error).__name__) from error

    def _attempt(self, use_case: str, work: Callable[[], Any], *, concurrent: bool = False) -> Any:
        fault = (
            self.fault_at.fault if self.fault_at and self.fault_at.use_case == use_case else None
        )
        process = InterruptedProcess(fault, self._call_counts.setdefault(use_case, Counter()))
        if self.interruption and self.interruption.use_case == use_case:
            process.interruption = self.interruption
        try:
            with self.harness.run_as(process, concurrent=concurrent):
                return work()
        finally:
            self.calls.setdefault(use_case, []).extend(process.calls)
            if process.fault_occurred:
                self.fault_occurred = True
                self.state_after_fault = self.state_after_fault or self.describe_state()
