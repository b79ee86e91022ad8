"""The state machines, as the engine sees them: start, look, resume, stop.

A run's first execution begins to work; every later one begins with a wait, if only one that is over
at once. So there are two machines, and each of them ends with the turn that it carries: a task that
may end an execution needs no choice behind it, and transitions are what a run pays most for.
"""

import json
from collections.abc import Callable, Collection
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from runyard_service.domain.errors import RetryableError
from runyard_service.domain.runs import Execution

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ExecutionState = Literal["running", "ended", "missing"]

# An execution ends after a year. A question that waits for longer is waited for by the next one.
_LONGEST_WAIT_SECONDS = 364 * 86_400

# A token that is used, expired or unknown: the wait is over, and that is all there is to know.
_TOKEN_IS_OVER = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class OrchestratorUnavailableError(RetryableError):
    """Step Functions did not take the call, after the client's own retries."""


class WaitSpec(NamedTuple):
    """What an execution begins with: for how many seconds at most (`inf`: for ever), about what.

    `limit` names the limit that a person is to be asked about, if that is what is needed;
    `limit_at` is the event behind which a person turned out to be needed, 0 where none is.
    """

    seconds: float = 60
    limit: str = ""
    limit_at: int = 0


NOTHING_TO_WAIT_FOR = WaitSpec()


class Orchestrator:
    """The executions of the two state machines.

    A caller that only starts first executions needs `run_state_machine_arn` alone; a caller that
    only starts later ones needs `resume_state_machine_arn` alone.
    """

    def __init__(
        self,
        connect: "Callable[[], SFNClient]",
        run_state_machine_arn: str = "",
        resume_state_machine_arn: str = "",
    ) -> None:
        self._connect = connect
        self._run_state_machine_arn = run_state_machine_arn
        self._resume_state_machine_arn = resume_state_machine_arn

    @cached_property
    def _client(self) -> "SFNClient":
        """Made at its first use: to look at a run takes no state machine."""
        return self._connect()

    def start(self, execution: Execution, wait: WaitSpec = NOTHING_TO_WAIT_FOR) -> None:
        """Start it; starting it twice starts it once. A run's first execution waits for nobody."""
        given: dict[str, str | int] = {"run_id": execution.run_id}
        if execution.number:
            seconds = max(1, ceil(min(_LONGEST_WAIT_SECONDS, wait.seconds)))
            given |= {"wait_seconds": seconds, "limit": wait.limit, "limit_at": wait.limit_at}
        self._call(
            lambda: self._client.start_execution(
                stateMachineArn=self._machine_of(execution),
                name=execution.name,
                input=json.dumps(given),
            ),
            harmless={"ExecutionAlreadyExists"},
        )

    def state(self, execution: Execution) -> ExecutionState:
        """Whether it is at work."""
        arn = self._arn_of(execution)
        try:
            found = self._client.describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return "missing"
            raise OrchestratorUnavailableError(error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise OrchestratorUnavailableError(type(error).__name__) from error
        return "running" if found["status"] in ("RUNNING", "PENDING_REDRIVE") else "ended"

    def resume(self, token: str) -> None:
        """End the wait that this token belongs to; a wait that is over already is no error."""
        self._call(
            lambda: self._client.send_task_success(taskToken=token, output="{}"),
            harmless=_TOKEN_IS_OVER,
        )

    def stop(self, execution: Execution) -> None:
        """Stop it, if it is at work."""
        self._call(
            lambda: self._client.stop_execution(
                executionArn=self._arn_of(execution), cause="the run was canceled"
            ),
            harmless={"ExecutionDoesNotExist"},
        )

    def _machine_of(self, execution: Execution) -> str:
        return self._resume_state_machine_arn if execution.number else self._run_state_machine_arn

    def _arn_of(self, execution: Execution) -> str:
        machine = self._machine_of(execution)
        return f"{machine.replace(':stateMachine:', ':execution:')}:{execution.name}"

    def _call(self, call: Callable[[], object], harmless: Collection[str]) -> None:
        try:
            call()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in harmless:
                raise OrchestratorUnavailableError(code) from error
        except BotoCoreError as error:
            raise OrchestratorUnavailableError(type(error).__name__) from error
