"""Interprets the files of `statemachines/` as Step Functions would, one task at a time.

Retries come at once, and a wait ends when the test says so: hundreds of runs take seconds. Tokens
are as strict as AWS: each attempt of a wait has its own, and it works once.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runyard_service.domain.ids import new_id

Invoke = Callable[[str, Mapping[str, Any]], Any]
MACHINES = ("run", "resume")
_ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:crashes-"


class TaskFailedError(Exception):
    """A function failed; `name` is what the state machine calls it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ServiceError(Exception):
    """Step Functions refuses a call, under this name."""


@dataclass
class Execution:
    """One execution: where it is, what it carries, and whether it waits for a token."""

    machine: str
    name: str
    input: Mapping[str, Any]
    state: str
    data: dict[str, Any]
    status: str = "RUNNING"
    token: str | None = None
    is_waiting: bool = False
    retries: int = 0
    attempts: Counter[int] = field(default_factory=Counter)

    @property
    def can_go_on(self) -> bool:
        """Whether there is something to do now."""
        return self.status == "RUNNING" and not self.is_waiting


def arn_of(machine: str) -> str:
    """The ARN of the machine that this file defines."""
    return f"{_ARN}{machine}"


class StateMachines:
    """All executions of the two; the next `refusals` calls that end something are refused."""

    def __init__(self) -> None:
        self._definitions: dict[str, Any] = {
            name: json.loads(Path(f"statemachines/{name}.asl.json").read_text(encoding="utf-8"))
            for name in MACHINES
        }
        self.executions: dict[str, Execution] = {}
        self.refusals = 0
        self.not_handed_over: set[str] = set()
        """Runs whose first execution cannot start another one, however often it tries."""
        self.not_started: set[str] = set()
        """Runs of which the next start is refused in a way that nobody tries again."""
        self._at_work = ""

    # --- what the service is asked for -------------------------------------------------------

    def start(self, arn: str, name: str, given: Mapping[str, Any]) -> Execution:
        """StartExecution: the same name and input again is the same execution while it runs."""
        if self._at_work == given["run_id"] and self._at_work in self.not_handed_over:
            raise ServiceError("ServiceUnavailable")
        if name in self.not_started:
            self.not_started.remove(name)
            raise ServiceError("StateMachineDoesNotExist")
        machine = arn.removeprefix(_ARN)
        found = self.executions.get(name)
        if found is not None:
            if found.status == "RUNNING" and found.input == given:
                return found
            raise ServiceError("ExecutionAlreadyExists")
        first = self._definitions[machine]["StartAt"]
        execution = Execution(machine, name, given, first, dict(given))
        self.executions[name] = execution
        return execution

    def find(self, arn: str) -> Execution:
        """DescribeExecution."""
        for execution in self.executions.values():
            if arn == f"{arn_of(execution.machine)}:{execution.name}".replace(
                ":stateMachine:", ":execution:"
            ):
                return execution
        raise ServiceError("ExecutionDoesNotExist")

    def stop(self, execution: Execution) -> None:
        """StopExecution."""
        if execution.status == "RUNNING":
            execution.status, execution.token, execution.is_waiting = "ABORTED", None, False

    def succeed(self, token: str) -> None:
        """SendTaskSuccess: also before the function that was given the token has returned."""
        for execution in self.executions.values():
            if execution.token == token and execution.status == "RUNNING":
                execution.token = None
                if execution.is_waiting:
                    self._leave(execution, self._state_of(execution))
                return
        raise ServiceError("TaskTimedOut")

    # --- what it does by itself --------------------------------------------------------------

    def step(self, execution: Execution, invoke: Invoke) -> None:
        """Do what the present state says."""
        state = self._state_of(execution)
        match state["Type"]:
            case "Succeed":
                execution.status = "SUCCEEDED"
            case "Task":
                self._at_work = execution.name
                try:
                    self._task(execution, state, invoke)
                finally:
                    self._at_work = ""
            case other:
                raise AssertionError(f"{other} is not interpreted here")

    def time_out(self, execution: Execution) -> None:
        """The wait's time is over."""
        assert execution.is_waiting, "only a wait is timed out"
        execution.token, execution.is_waiting = None, False
        self._fail(execution, self._state_of(execution), "States.Timeout")

    def _state_of(self, execution: Execution) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self._definitions[execution.machine]["States"][execution.state]
        return state

    def _task(self, execution: Execution, state: Mapping[str, Any], invoke: Invoke) -> None:
        parameters = state["Parameters"]
        waits = state["Resource"].endswith(".waitForTaskToken")
        execution.token = new_id() if waits else None
        try:
            payload = _filled(execution, parameters["Payload"])
            invoke(_function(parameters["FunctionName"]), payload)
        except TaskFailedError as error:
            if execution.status == "RUNNING" and not (waits and execution.token is None):
                self._fail(execution, state, error.name)
                return
        else:
            if waits and execution.token is not None:
                execution.is_waiting = execution.status == "RUNNING"
                return
        if execution.status == "RUNNING":
            self._leave(execution, state)

    def _fail(self, execution: Execution, state: Mapping[str, Any], name: str) -> None:
        for number, retry in enumerate(state.get("Retry", ())):
            if _is_meant(name, retry["ErrorEquals"]):
                execution.attempts[number] += 1
                if execution.attempts[number] <= retry["MaxAttempts"]:
                    execution.retries += 1
                    return
                break
        for catch in state.get("Catch", ()):
            if _is_meant(name, catch["ErrorEquals"]):
                if catch["ResultPath"] is not None:
                    error = {"Error": name, "Cause": ""}
                    execution.data[catch["ResultPath"].removeprefix("$.")] = error
                self._leave(execution, catch)
                return
        execution.status = "FAILED"

    def _leave(self, execution: Execution, way: Mapping[str, Any]) -> None:
        execution.attempts.clear()
        execution.token, execution.is_waiting = None, False
        if way.get("End"):
            execution.status = "SUCCEEDED"
        else:
            execution.state = way["Next"]


def _is_meant(name: str, names: list[str]) -> bool:
    return name in names or "States.ALL" in names


def _filled(execution: Execution, template: Mapping[str, str]) -> dict[str, Any]:
    return {
        name.removesuffix(".$"): _at(execution, value) if name.endswith(".$") else _given(value)
        for name, value in template.items()
    }


def _given(placeholder: str) -> str:
    """What the template puts in place of `${ResumeStateMachineArn}`."""
    assert placeholder == "${ResumeStateMachineArn}"
    return arn_of("resume")


def _at(execution: Execution, path: str) -> Any:
    """What stands at a path of the state's data (`$.`), or of the context (`$$.`)."""
    if path.startswith("$$."):
        return {
            "$$.Task.Token": execution.token,
            "$$.Execution.Name": execution.name,
            "$$.StateMachine.Id": arn_of(execution.machine),
        }[path]
    value: Any = execution.data
    for part in path.removeprefix("$").split(".")[1:]:
        value = value[part]
    return value


def _function(placeholder: str) -> str:
    """`${RunStepFunctionArn}` is the folder `run_step`."""
    name = placeholder.removeprefix("${").removesuffix("FunctionArn}")
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
