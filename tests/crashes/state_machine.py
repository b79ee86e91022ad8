"""Interprets `statemachines/run.asl.json` as Step Functions would, one task at a time.

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

from runyard.domain.ids import new_id

Invoke = Callable[[str, Mapping[str, Any]], Any]
DEFINITION = Path("statemachines/run.asl.json")


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


class StateMachine:
    """All executions of the machine; the next `refusals` calls that end something are refused."""

    def __init__(self) -> None:
        definition = json.loads(DEFINITION.read_text(encoding="utf-8"))
        self._states: dict[str, Any] = definition["States"]
        self._first: str = definition["StartAt"]
        self.executions: dict[str, Execution] = {}
        self.refusals = 0
        self.not_handed_over: set[str] = set()
        """Runs that no further execution is started for, however often the machine tries."""

    # --- what the service is asked for -------------------------------------------------------

    def start(self, name: str, given: Mapping[str, Any]) -> Execution:
        """StartExecution: the same name and input again is the same execution while it runs."""
        found = self.executions.get(name)
        if found is not None:
            if found.status == "RUNNING" and found.input == given:
                return found
            raise ServiceError("ExecutionAlreadyExists")
        execution = Execution(name, given, self._first, dict(given))
        self.executions[name] = execution
        return execution

    def find(self, name: str) -> Execution:
        """DescribeExecution."""
        if name not in self.executions:
            raise ServiceError("ExecutionDoesNotExist")
        return self.executions[name]

    def stop(self, name: str) -> None:
        """StopExecution."""
        execution = self.find(name)
        if execution.status == "RUNNING":
            execution.status, execution.token, execution.is_waiting = "ABORTED", None, False

    def succeed(self, token: str) -> None:
        """SendTaskSuccess: also before the function that was given the token has returned."""
        for execution in self.executions.values():
            if execution.token == token and execution.status == "RUNNING":
                execution.token = None
                if execution.is_waiting:
                    self._leave(execution, self._states[execution.state]["Next"])
                return
        raise ServiceError("TaskTimedOut")

    # --- what it does by itself --------------------------------------------------------------

    def step(self, execution: Execution, invoke: Invoke) -> None:
        """Do what the present state says."""
        state = self._states[execution.state]
        match state["Type"]:
            case "Succeed":
                execution.status = "SUCCEEDED"
            case "Choice":
                self._choose(execution, state)
            case "Pass":
                execution.data[state["ResultPath"].removeprefix("$.")] = state["Result"]
                self._leave(execution, state["Next"])
            case "Task":
                self._task(execution, state, invoke)
            case other:
                raise AssertionError(f"{other} is not interpreted here")

    def time_out(self, execution: Execution) -> None:
        """The wait's time is over."""
        assert execution.is_waiting, "only a wait is timed out"
        execution.token, execution.is_waiting = None, False
        self._fail(execution, self._states[execution.state], "States.Timeout")

    def _choose(self, execution: Execution, state: Mapping[str, Any]) -> None:
        for choice in state["Choices"]:
            if _at(execution, choice["Variable"], execution.data) == choice["StringEquals"]:
                return self._leave(execution, choice["Next"])
        return self._leave(execution, state["Default"])

    def _task(self, execution: Execution, state: Mapping[str, Any], invoke: Invoke) -> None:
        parameters = state["Parameters"]
        waits = state["Resource"].endswith(".waitForTaskToken")
        execution.token = new_id() if waits else None
        try:
            if state["Resource"].endswith(":startExecution"):
                self._start_another(execution, parameters)
                result = None
            else:
                payload = _filled(execution, parameters["Payload"], execution.data)
                result = invoke(_function(parameters["FunctionName"]), payload)
        except TaskFailedError as error:
            if execution.status == "RUNNING" and not (waits and execution.token is None):
                self._fail(execution, state, error.name)
                return
        else:
            if waits and execution.token is not None:
                execution.is_waiting = execution.status == "RUNNING"
                return
            if "ResultSelector" in state:
                execution.data = _filled(execution, state["ResultSelector"], {"Payload": result})
        if execution.status == "RUNNING":
            self._leave(execution, state["Next"])

    def _start_another(self, execution: Execution, parameters: Mapping[str, Any]) -> None:
        given = _filled(execution, parameters["Input"], execution.data)
        if given["run_id"] in self.not_handed_over:
            raise TaskFailedError("StepFunctions.SfnException")
        try:
            self.start(_at(execution, parameters["Name.$"], execution.data), given)
        except ServiceError as error:
            raise TaskFailedError(f"StepFunctions.{error}Exception") from error

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
                self._leave(execution, catch["Next"])
                return
        execution.status = "FAILED"

    def _leave(self, execution: Execution, following: str) -> None:
        execution.attempts.clear()
        execution.token, execution.is_waiting = None, False
        execution.state = following


def _is_meant(name: str, names: list[str]) -> bool:
    return name in names or "States.ALL" in names


def _filled(
    execution: Execution, template: Mapping[str, str], data: Mapping[str, Any]
) -> dict[str, Any]:
    return {name.removesuffix(".$"): _at(execution, path, data) for name, path in template.items()}


def _at(execution: Execution, path: str, data: Mapping[str, Any]) -> Any:
    """What stands at a path of the state's data (`$.`), or of the context (`$$.`)."""
    if path.startswith("$$."):
        return {"$$.Task.Token": execution.token, "$$.Execution.Name": execution.name}[path]
    value: Any = data
    for part in path.removeprefix("$").split(".")[1:]:
        value = value[part]
    return value


def _function(placeholder: str) -> str:
    """`${RunStepFunctionArn}` is the folder `run_step`."""
    name = placeholder.removeprefix("${").removesuffix("FunctionArn}")
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
