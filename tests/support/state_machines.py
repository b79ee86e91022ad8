"""Simulate Step Functions: interpret the files of `statemachines/`, one task at a time.

Retries happen at once, and a wait ends when the test ends it. Task tokens are as strict as those of
AWS: each attempt of a wait has its own, which works once.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runyard_service.domain import clock
from runyard_service.domain.ids import new_id

Invoke = Callable[[str, Mapping[str, Any]], Any]
_FILES = ("run", "resume")
_ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:simulated-"


class TaskFailedError(Exception):
    """A task failed; `name` is the error name that the state machine compares."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class StepFunctionsError(Exception):
    """Step Functions rejects a call with this error code."""


@dataclass(frozen=True, eq=False)
class Task:
    """One invocation that an execution requests: the function by its folder, and its event."""

    function: str
    payload: Mapping[str, Any]


@dataclass
class Execution:
    """One execution: its state, its data, and the task or the token that it waits for.

    `times_out_at` is the end of the wait in seconds since 1970.
    """

    state_machine: str
    name: str
    input: Mapping[str, Any]
    state: str
    data: dict[str, Any]
    status: str = "RUNNING"
    token: str | None = None
    task: Task | None = None
    is_waiting: bool = False
    times_out_at: float = 0
    retries: int = 0
    attempts: Counter[int] = field(default_factory=Counter)

    @property
    def arn(self) -> str:
        """Return the ARN of the execution."""
        machine = arn_of(self.state_machine).replace(":stateMachine:", ":execution:")
        return f"{machine}:{self.name}"

    @property
    def is_runnable(self) -> bool:
        """Return True if the execution has a task to run now."""
        return self.status == "RUNNING" and not self.is_waiting

    @property
    def is_overdue(self) -> bool:
        """Return True if the execution has waited until its timeout."""
        return self.is_waiting and self.times_out_at <= clock.now().timestamp()


def arn_of(state_machine: str) -> str:
    """Return the ARN of the state machine in this file of `statemachines/`."""
    return f"{_ARN}{state_machine}"


class StateMachines:
    """The executions of the two state machines by name, and the calls that must fail.

    The next `failing_calls` calls that end an execution or a wait fail. The first execution of a
    run in `failing_handovers` cannot start the next one. The first start of a run in
    `failing_starts` fails with an error that is not retried.
    """

    def __init__(self) -> None:
        self._definitions: dict[str, Any] = {
            name: json.loads(Path(f"statemachines/{name}.asl.json").read_text(encoding="utf-8"))
            for name in _FILES
        }
        self.executions: dict[str, Execution] = {}
        self.failing_calls = 0
        self.failing_handovers: set[str] = set()
        self.failing_starts: set[str] = set()

    def of_run(self, run_id: str) -> list[Execution]:
        """Return the executions of the run, the newest last."""
        return [one for one in self.executions.values() if one.input["run_id"] == run_id]

    def start_execution(self, arn: str, name: str, arguments: Mapping[str, Any]) -> Execution:
        """Start an execution; the same name and input return a running execution."""
        if name in self.failing_starts:
            self.failing_starts.remove(name)
            raise StepFunctionsError("StateMachineDoesNotExist")
        first = self.executions.get(arguments["run_id"])
        if first and first.is_runnable and arguments["run_id"] in self.failing_handovers:
            raise StepFunctionsError("ServiceUnavailable")
        found = self.executions.get(name)
        if found is not None:
            if found.status == "RUNNING" and found.input == arguments:
                return found
            raise StepFunctionsError("ExecutionAlreadyExists")
        machine = arn.removeprefix(_ARN)
        state = self._definitions[machine]["StartAt"]
        execution = Execution(machine, name, arguments, state, dict(arguments))
        self.executions[name] = execution
        return execution

    def find_execution(self, arn: str) -> Execution:
        """Return the execution. Raise StepFunctionsError."""
        execution = self.executions.get(arn.rpartition(":")[2])
        if execution is None or execution.arn != arn:
            raise StepFunctionsError("ExecutionDoesNotExist")
        return execution

    def stop_execution(self, execution: Execution) -> None:
        """Abort the execution if it is running."""
        if execution.status == "RUNNING":
            execution.status = "ABORTED"
            _clear_task(execution)

    def complete_wait(self, token: str) -> None:
        """End the wait with this token, even if its function has not returned yet."""
        for execution in self.executions.values():
            if execution.token == token:
                self._leave(execution, self._state_of(execution))
                return
        raise StepFunctionsError("TaskTimedOut")

    def run_task(self, execution: Execution, invoke: Invoke) -> None:
        """Run the current state of the execution to its end."""
        task = self.start_task(execution)
        if task is None:
            return
        try:
            invoke(task.function, task.payload)
        except TaskFailedError as error:
            self.finish_task(execution, task, error.name)
        else:
            self.finish_task(execution, task)

    def start_task(self, execution: Execution) -> Task | None:
        """Return the task of the current state; end the execution if the state has no task."""
        state = self._state_of(execution)
        if state["Type"] == "Succeed":
            execution.status = "SUCCEEDED"
            return None
        assert state["Type"] == "Task", f"the simulator has no {state['Type']} states"
        if state["Resource"].endswith(".waitForTaskToken"):
            execution.token = new_id()
            seconds = _resolve(execution, state["TimeoutSecondsPath"])
            execution.times_out_at = clock.now().timestamp() + seconds
        function = _folder_of(state["Parameters"]["FunctionName"])
        template = state["Parameters"]["Payload"].items()
        payload = {name.removesuffix(".$"): _resolve(execution, path) for name, path in template}
        execution.task = Task(function, payload)
        return execution.task

    def finish_task(self, execution: Execution, task: Task, error: str = "") -> None:
        """End the task with an error, or without one; ignore a task that has ended before."""
        if execution.task is not task:
            return
        if error:
            self._fail(execution, error)
        elif execution.token:
            execution.task, execution.is_waiting = None, True
        else:
            self._leave(execution, self._state_of(execution))

    def time_out(self, execution: Execution) -> None:
        """End the wait of the execution by its timeout."""
        assert execution.is_waiting, "only an execution that waits can time out"
        self._fail(execution, "States.Timeout")

    def _state_of(self, execution: Execution) -> Mapping[str, Any]:
        states: Mapping[str, Any] = self._definitions[execution.state_machine]["States"]
        state: Mapping[str, Any] = states[execution.state]
        return state

    def _fail(self, execution: Execution, error: str) -> None:
        _clear_task(execution)
        state = self._state_of(execution)
        for number, retry in enumerate(state.get("Retry", ())):
            if _matches(error, retry["ErrorEquals"]):
                execution.attempts[number] += 1
                if execution.attempts[number] <= retry["MaxAttempts"]:
                    execution.retries += 1
                    return
                break
        for catch in state.get("Catch", ()):
            if _matches(error, catch["ErrorEquals"]):
                if catch["ResultPath"] is not None:
                    name = catch["ResultPath"].removeprefix("$.")
                    execution.data[name] = {"Error": error, "Cause": ""}
                self._leave(execution, catch)
                return
        execution.status = "FAILED"

    def _leave(self, execution: Execution, transition: Mapping[str, Any]) -> None:
        execution.attempts.clear()
        _clear_task(execution)
        if transition.get("End"):
            execution.status = "SUCCEEDED"
        else:
            execution.state = transition["Next"]


def _clear_task(execution: Execution) -> None:
    execution.task, execution.token, execution.is_waiting = None, None, False


def _matches(error: str, names: list[str]) -> bool:
    return error in names or "States.ALL" in names


def _resolve(execution: Execution, path: str) -> Any:
    """Return the value at a path in the state's data (`$.`) or the context, or of a variable."""
    values = {
        "$$.Task.Token": execution.token,
        "$$.Execution.Name": execution.name,
        "$$.StateMachine.Id": arn_of(execution.state_machine),
        "${ResumeStateMachineArn}": arn_of("resume"),
    }
    if path in values:
        return values[path]
    value: Any = execution.data
    for part in path.removeprefix("$.").split("."):
        value = value[part]
    return value


def _folder_of(placeholder: str) -> str:
    """Return the folder of a function: `run_step` for `${RunStepFunctionArn}`."""
    name = placeholder.removeprefix("${").removesuffix("FunctionArn}")
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
