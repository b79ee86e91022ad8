"""Start, describe, resume and stop executions of the two state machines (Step Functions).

A run's first execution starts with work. Every later execution starts with a wait, which may end at
once. So there are two state machines, and each ends after its task. Such a task needs no choice
state after it, and state transitions are the largest cost of a run.
"""

import json
from collections.abc import Callable, Collection
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from runyard_service.adapters.pace import Pace
from runyard_service.domain.errors import RetryableError
from runyard_service.domain.runs import Execution

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

ExecutionState = Literal["running", "ended", "missing"]

# An execution ends after a year. The next execution continues a longer wait.
_LONGEST_WAIT_SECONDS = 364 * 86_400

# The quota of DescribeExecution is 250 calls at once and 10 a second; in us-east-1 and two other
# regions 300 and 15 (Step Functions service quotas). All callers of the account share it.
_DESCRIBED_AT_ONCE = 200
_DESCRIBED_PER_SECOND = 10

# The token is used, expired or unknown, so the wait has ended.
_TOKEN_IS_OVER = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class OrchestratorUnavailableError(RetryableError):
    """Step Functions rejected the call after the client's own retries."""


class WaitSpec(NamedTuple):
    """The wait at the start of an execution: at most `seconds`; `inf` waits without a time limit.

    `limit` names the limit that a person may increase, or is empty. `last_sequence` is the
    sequence of the last event before a person was needed, 0 if no person is needed.
    """

    seconds: float = 60
    limit: str = ""
    last_sequence: int = 0


NOTHING_TO_WAIT_FOR = WaitSpec()


class Orchestrator:
    """The executions of the two state machines.

    A caller that only starts first executions needs `run_state_machine_arn` alone; a caller that
    only starts later executions needs `resume_state_machine_arn` alone.
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
        self._describing = Pace(_DESCRIBED_AT_ONCE, _DESCRIBED_PER_SECOND)

    @cached_property
    def _client(self) -> "SFNClient":
        """Connect at first use, because a request that reads a run needs no state machine."""
        return self._connect()

    def start(self, execution: Execution, wait: WaitSpec = NOTHING_TO_WAIT_FOR) -> None:
        """Start the execution; a repeated call has no effect. A first execution does not wait."""
        arguments: dict[str, str | int] = {"run_id": execution.run_id}
        if execution.number:
            seconds = max(1, ceil(min(_LONGEST_WAIT_SECONDS, wait.seconds)))
            arguments |= {
                "wait_seconds": seconds,
                "limit": wait.limit,
                "last_sequence": wait.last_sequence,
            }
        self._call(
            lambda: self._client.start_execution(
                stateMachineArn=self._machine_of(execution),
                name=execution.name,
                input=json.dumps(arguments),
            ),
            harmless={"ExecutionAlreadyExists"},
        )

    def state(self, execution: Execution) -> ExecutionState:
        """Return the state of the execution. Raises OrchestratorUnavailableError.

        Only the sweep calls it. It waits where more calls would exceed the quota.
        """
        self._describing.wait()
        arn = self._arn_of(execution)
        try:
            response = self._client.describe_execution(executionArn=arn)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
                return "missing"
            raise OrchestratorUnavailableError(error.response["Error"]["Code"]) from error
        except BotoCoreError as error:
            raise OrchestratorUnavailableError(type(error).__name__) from error
        return "running" if response["status"] in ("RUNNING", "PENDING_REDRIVE") else "ended"

    def resume(self, token: str) -> bool:
        """End the wait of this token. Return False if no execution waits for it any more."""
        return self._call(
            lambda: self._client.send_task_success(taskToken=token, output="{}"),
            harmless=_TOKEN_IS_OVER,
        )

    def stop(self, execution: Execution) -> None:
        """Stop the execution if it is running."""
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

    def _call(self, call: Callable[[], object], harmless: Collection[str]) -> bool:
        """Make the call; return False if it fails with a harmless error code."""
        try:
            call()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in harmless:
                raise OrchestratorUnavailableError(code) from error
            return False
        except BotoCoreError as error:
            raise OrchestratorUnavailableError(type(error).__name__) from error
        return True
