"""What has to change in moto 5.2.5's state machine interpreter to stand in for Step Functions.

Each patch replaces the smallest thing there is and says what goes wrong without it.
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
    """Apply all patches; Lambda tasks go to `lambda_endpoint` from now on."""
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    client = LambdaTasks(lambda_endpoint, region)
    # Without this, tasks go to moto's own Lambda, which wants Docker; and each task would make a
    # new boto3 client, 20 ms of processor time.
    _replace(lambda_eval_utils, "boto_client_for", lambda **_: client)
    _parse_once()
    _parse_paths_once()
    _start_once()
    _look_at_started_executions_only()
    tell_watchers = functools.partial(report, client, watchers)
    _patch_stop(tell_watchers)
    _report_failed_executions(tell_watchers)


def _replace(owner: Any, name: str, replacement: Any) -> None:
    """Assign through setattr: to a type checker neither a method nor a function is a variable."""
    setattr(owner, name, replacement)


def _parse_once() -> None:
    """Keep the parsed program of a definition.

    antlr parses in Python, 100 ms for a definition of this size, anew for every execution. A
    program is safe to share: its components set their fields while they are built, and keep what
    an execution does in that execution's environment (retry counters too, under `heap_key`).
    """
    parse = functools.lru_cache(maxsize=32)(AmazonStateLanguageParser.parse)
    lock = threading.Lock()

    def parse_in_turn(definition: str) -> Any:
        with lock:  # antlr's caches are shared by all parsers.
            return parse(definition)

    _replace(AmazonStateLanguageParser, "parse", staticmethod(parse_in_turn))


def _parse_paths_once() -> None:
    """Keep the parsed form of a JSONPath.

    A parser with its tables is built anew for every path of every state: half of the processor
    time that moto takes for a run. What it gives has no state.
    """
    for module in (json_path, result_path):
        _replace(module, "parse", functools.lru_cache(maxsize=512)(module.parse))


def _start_once() -> None:
    """Start executions one after the other.

    moto looks for the name and appends the execution in two steps: two starts of one name at the
    same moment would run it twice. It appends it before it gives it a status, too, and whoever
    lists or describes executions at that moment gets an AttributeError.
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
    # moto keeps every thread it ever started; a long session would hold some ten thousand.
    if len(utils.TMP_THREADS) > 2000:
        utils.TMP_THREADS[:] = [thread for thread in utils.TMP_THREADS if thread.is_alive()]


def _look_at_started_executions_only() -> None:
    """Skip executions that have no environment yet.

    To find a token, moto asks all executions in turn, and fails with an AttributeError on one that
    was started this very moment: then an answer to another run would be refused.
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


def _patch_stop(tell_watchers: Callable[[Execution], None]) -> None:
    """Make StopExecution end an execution, whatever it is doing.

    In moto one that waits on a token stays RUNNING, and one in the middle of a task turns FAILED
    when the task's end finds the program stopped; error and cause are dropped.
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
            return  # It ended by itself at this very moment.
        self.exec_status = ExecutionStatus.ABORTED
        self.stop_date, self.error, self.cause = stop_date, error, cause
        for callback in list(environment.callback_pool_manager._pool.values()):
            callback.interrupt_all()
        tell_watchers(self)

    def reflect_unless_stopped(self: BaseExecutionWorkerCommunication) -> None:
        if self.execution.exec_status == ExecutionStatus.RUNNING:
            reflect(self)

    _replace(Environment, "set_error", set_error_unless_stopped)
    _replace(Execution, "stop", stop)
    _replace(BaseExecutionWorkerCommunication, "_reflect_execution_status", reflect_unless_stopped)


def _environment(execution: Execution) -> Environment | None:
    """The environment of a program that has begun; one started this moment begins very soon."""
    for _ in range(200):
        worker = execution.exec_worker
        if worker is not None and worker.env is not None and worker.env._program_state is not None:
            return worker.env
        time.sleep(0.01)
    return None


def _report_failed_executions(tell_watchers: Callable[[Execution], None]) -> None:
    """Do what EventBridge does for a rule on the execution's status: moto sends no such event."""
    terminated = BaseExecutionWorkerCommunication.terminated

    def terminated_and_told(self: BaseExecutionWorkerCommunication) -> None:
        terminated(self)
        if self.execution.exec_status != ExecutionStatus.ABORTED:  # That was told when it stopped.
            tell_watchers(self.execution)

    _replace(BaseExecutionWorkerCommunication, "terminated", terminated_and_told)
