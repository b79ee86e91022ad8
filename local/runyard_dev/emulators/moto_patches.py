"""Patches that make the state machine interpreter of moto 5.2.5 behave like Step Functions.

Each patch replaces as little as possible and says what fails without it.
"""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.core.config import default_user_config
from moto.stepfunctions.parser import utils
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication,
    Execution,
)
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from runyard_dev.emulators.execution_events import Watchers, report
from runyard_dev.lambda_.tasks import LambdaTasks


def install(lambda_endpoint: str, region: str, watchers: Watchers) -> None:
    """Apply all patches; Lambda tasks go to `lambda_endpoint` afterwards."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    client = LambdaTasks(lambda_endpoint, region)
    # Without this, tasks go to moto's own Lambda, which needs Docker, and each task creates a new
    # boto3 client, which takes 20 ms of processor time.
    _replace(lambda_eval_utils, "boto_client_for", lambda **_: client)
    _parse_once()
    _parse_paths_once()
    _start_once()
    _look_at_started_executions_only()
    notify_watchers = functools.partial(report, client, watchers)
    _patch_stop(notify_watchers)
    _report_failed_executions(notify_watchers)


def _replace(owner: Any, name: str, replacement: Any) -> None:
    """Assign with setattr. A type checker rejects an assignment to a method or a function."""
    setattr(owner, name, replacement)


def _parse_once() -> None:
    """Cache the parsed program of a definition.

    antlr parses in Python, 100 ms for a definition of this size, for every execution. Executions
    can share a program: its components set their fields while they are built, and save the state
    of an execution in the execution's environment (retry counters too, under `heap_key`).
    """
    parse = functools.lru_cache(maxsize=32)(AmazonStateLanguageParser.parse)
    lock = threading.Lock()

    def parse_in_turn(definition: str) -> Any:
        with lock:  # antlr's caches are shared by all parsers.
            return parse(definition)

    _replace(AmazonStateLanguageParser, "parse", staticmethod(parse_in_turn))


def _parse_paths_once() -> None:
    """Cache the parsed form of a JSONPath.

    moto builds a parser with its tables for every path of every state: half of the processor time
    that it takes for a run. The parsed form has no state.
    """
    for module in (json_path, result_path):
        _replace(module, "parse", functools.lru_cache(maxsize=512)(module.parse))


def _start_once() -> None:
    """Start executions one after the other.

    moto looks for the name and appends the execution in two steps, so two simultaneous starts with
    the same name would run it twice. It also appends the execution before it sets a status. A
    caller that lists or describes executions at that moment gets an AttributeError.
    """
    start_execution = StepFunctionsParserBackend.start_execution
    lock = threading.Lock()

    def start_in_turn(self: Any, *args: Any, **kwargs: Any) -> Any:
        with lock:
            _forget_ended_threads()
            return start_execution(self, *args, **kwargs)

    def status(self: Execution) -> str:
        return str((self.exec_status or ExecutionStatus.RUNNING).value)

    _replace(StepFunctionsParserBackend, "start_execution", start_in_turn)
    _replace(Execution, "status", property(status))


def _forget_ended_threads() -> None:
    # moto never removes a thread from its list, which would grow to ten thousand threads.
    if len(utils.TMP_THREADS) > 2000:
        utils.TMP_THREADS[:] = [thread for thread in utils.TMP_THREADS if thread.is_alive()]


def _look_at_started_executions_only() -> None:
    """Skip executions that have no environment yet.

    To find a token, moto asks all executions in turn. It fails with an AttributeError on one that
    starts at that moment: the answer to another run would be rejected.
    """

    def executions(self: Any, execution_status: ExecutionStatus | None = None) -> list[Execution]:
        return [
            execution
            for machine in list(self.state_machines)
            for execution in list(machine.executions)
            if execution.exec_worker is not None
            and execution.exec_worker.env is not None
            and execution_status in (None, execution.exec_status)
        ]

    _replace(StepFunctionsParserBackend, "_get_executions", executions)


def _patch_stop(notify_watchers: Callable[[Execution], None]) -> None:
    """Make StopExecution end an execution in every state.

    In moto an execution that waits for a token stays RUNNING. One that executes a task turns
    FAILED when the task ends and finds the program stopped. Error and cause are lost.
    """
    set_error = Environment.set_error
    reflect: Any = BaseExecutionWorkerCommunication._reflect_execution_status

    def set_error_unless_stopped(self: Environment, error: Any) -> None:
        if not isinstance(self._program_state, ProgramStopped):
            set_error(self, error)

    def stop(self: Execution, stop_date: Any, error: str | None, cause: str | None) -> None:
        environment = _environment(self)
        if environment is None or self.exec_status != ExecutionStatus.RUNNING:
            return
        environment.set_stop(stop_date=stop_date, error=error, cause=cause)
        if not isinstance(environment._program_state, ProgramStopped):
            return  # It has just ended by itself.
        self.exec_status = ExecutionStatus.ABORTED
        self.stop_date, self.error, self.cause = stop_date, error, cause
        for callback in list(environment.callback_pool_manager._pool.values()):
            callback.interrupt_all()
        notify_watchers(self)

    def reflect_unless_stopped(self: BaseExecutionWorkerCommunication) -> None:
        if self.execution.exec_status == ExecutionStatus.RUNNING:
            reflect(self)

    _replace(Environment, "set_error", set_error_unless_stopped)
    _replace(Execution, "stop", stop)
    _replace(BaseExecutionWorkerCommunication, "_reflect_execution_status", reflect_unless_stopped)


def _environment(execution: Execution) -> Environment | None:
    """Return the environment of a program. Wait up to 2 s for a program that starts."""
    for _ in range(200):
        worker = execution.exec_worker
        if worker is not None and worker.env is not None and worker.env._program_state is not None:
            return worker.env
        time.sleep(0.01)
    return None


def _report_failed_executions(notify_watchers: Callable[[Execution], None]) -> None:
    """Pass each failed execution to `notify_watchers`: moto sends no event to EventBridge."""
    terminated = BaseExecutionWorkerCommunication.terminated

    def terminate_and_notify(self: BaseExecutionWorkerCommunication) -> None:
        terminated(self)
        if self.execution.exec_status != ExecutionStatus.ABORTED:  # `stop` sends that event.
            notify_watchers(self.execution)

    _replace(BaseExecutionWorkerCommunication, "terminated", terminate_and_notify)
