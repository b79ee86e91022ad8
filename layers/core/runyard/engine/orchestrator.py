"""The state machine, as the engine sees it: start, look, resume, stop."""

import json
from collections.abc import Callable, Collection
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from runyard.domain.errors import RetryableError
from runyard.domain.runs import Run

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ExecutionState = Literal["running", "ended", "missing"]

# A token that is used, expired or unknown: the wait is over, and that is all there is to know.
_TOKEN_IS_OVER = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class OrchestratorUnavailableError(RetryableError):
    """Step Functions did not take the call, after the client's own retries."""


class Orchestrator:
    """The executions of one state machine."""

    def __init__(self, connect: "Callable[[], SFNClient]", machine_arn: str) -> None:
        self._connect = connect
        self._machine_arn = machine_arn

    @cached_property
    def _client(self) -> "SFNClient":
        """Made at its first use: to look at a run takes no state machine."""
        return self._connect()

    def start(self, run: Run) -> None:
        """Start the execution that carries the run; starting it twice starts it once."""
        self._call(
            lambda: self._client.start_execution(
                stateMachineArn=self._machine_arn,
                name=run.execution_name,
                input=json.dumps({"run_id": run.id}),
            ),
            harmless={"ExecutionAlreadyExists"},
        )

    def state(self, run: Run) -> ExecutionState:
        """Whether the run's execution is at work."""
        arn = self._execution_arn(run)
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

    def stop(self, run: Run) -> None:
        """Stop the run's execution, if there is one at work."""
        self._call(
            lambda: self._client.stop_execution(
                executionArn=self._execution_arn(run), cause="the run was canceled"
            ),
            harmless={"ExecutionDoesNotExist"},
        )

    def _execution_arn(self, run: Run) -> str:
        return f"{self._machine_arn.replace(':stateMachine:', ':execution:')}:{run.execution_name}"

    def _call(self, call: Callable[[], object], harmless: Collection[str]) -> None:
        try:
            call()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in harmless:
                raise OrchestratorUnavailableError(code) from error
        except BotoCoreError as error:
            raise OrchestratorUnavailableError(type(error).__name__) from error
