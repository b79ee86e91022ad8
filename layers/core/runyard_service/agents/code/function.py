"""The Lambda function of an agent: which version a run uses, and one invocation of it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from runyard_service.agents.code.definition import is_local_file
from runyard_service.agents.code.protocol import AgentCodeError, CodeResponse, parse_response
from runyard_service.agents.lambda_client import TRANSIENT_CODES, lambda_client, was_sent
from runyard_service.domain.errors import FunctionUnavailableError
from runyard_service.domain.event_payloads.runs import CodeVersion

_EXCERPT_CHARACTERS = 500
# The function's process ended: it was killed, or its time was over.
_STOPPED_TYPES = frozenset({"Runtime.ExitError", "Sandbox.Timedout", "Runtime.OutOfMemory"})


@dataclass(frozen=True)
class FunctionVersion:
    """The published version of a function that a run uses from its start to its end."""

    function: str
    version: str
    sha256: str

    def to_json(self) -> CodeVersion:
        """Return the `code` of the event `run.started`."""
        return {"function": self.function, "version": self.version, "sha256": self.sha256}

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> "FunctionVersion":
        """Return the version that `run.started` recorded."""
        return cls(data["function"], data["version"], data["sha256"])


async def resolve_version(function: str, alias: str, prefix: str) -> FunctionVersion:
    """Return the version that the alias names now.

    Raise AgentCodeError `code_missing` if there is no such function or alias, or if the worker may
    not invoke the function, because its name lacks `prefix`.
    """
    if not (function.startswith(prefix) or is_local_file(function)):
        raise AgentCodeError(
            "code_missing",
            f"The function {function} does not begin with {prefix!r}, the parameter"
            " AgentFunctionPrefix: rename the function, or change the parameter.",
        )
    return await asyncio.to_thread(_resolve, function, alias)


def _resolve(function: str, alias: str) -> FunctionVersion:
    try:
        found = lambda_client(30).get_function_configuration(FunctionName=function, Qualifier=alias)
    except (ClientError, BotoCoreError) as error:
        raise _lambda_error(error, function, alias) from error
    return FunctionVersion(function, found["Version"], found.get("CodeSha256", ""))


async def invoke(
    version: FunctionVersion, request: Mapping[str, Any], seconds: float
) -> CodeResponse:
    """Invoke the version with a request of the protocol, and return its response.

    Raise FunctionUnavailableError if another invocation can succeed. Raise AgentCodeError
    `code_missing` if the version was deleted, `agent_error` if the function fails, and
    InvalidResponseError for a response that is not of the protocol.
    """
    payload = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    return await asyncio.to_thread(_invoke, version, payload, seconds)


def _invoke(version: FunctionVersion, payload: bytes, timeout: float) -> CodeResponse:
    try:
        response = lambda_client(timeout).invoke(
            FunctionName=version.function,
            Qualifier=version.version,
            InvocationType="RequestResponse",
            Payload=payload,
        )
        body = response["Payload"].read()
    except (ClientError, BotoCoreError) as error:
        raise _lambda_error(error, version.function, version.version) from error
    if response.get("FunctionError"):
        raise _function_error(body)
    return parse_response(body)


def _lambda_error(
    error: ClientError | BotoCoreError, function: str, qualifier: str
) -> FunctionUnavailableError | AgentCodeError:
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code in TRANSIENT_CODES:
            return FunctionUnavailableError(f"Lambda answered {code}.", was_started=False)
        if code == "ResourceNotFoundException":
            return AgentCodeError("code_missing", _missing_text(function, qualifier))
        return AgentCodeError("agent_error", f"Lambda did not invoke {function}: {code}.")
    return FunctionUnavailableError("Lambda could not be reached.", was_started=was_sent(error))


def _missing_text(function: str, qualifier: str) -> str:
    if is_local_file(function):
        return (
            f"There is no {function}: the path is relative to the folder that contains agents/."
            " Only the local stack runs functions from files."
        )
    return (
        f"There is no function {function} with the version or alias {qualifier}: publish a version"
        " of it, and let the alias name it."
    )


def _function_error(body: bytes) -> AgentCodeError | FunctionUnavailableError:
    """Return the error of a function that raised an exception, or that Lambda stopped."""
    try:
        failure = json.loads(body)
        kind, message = str(failure.get("errorType", "")), str(failure.get("errorMessage", ""))
    except (ValueError, AttributeError):
        kind, message = "", body.decode("utf-8", "replace")
    text = f"{kind}: {message}"[:_EXCERPT_CHARACTERS]
    if kind in _STOPPED_TYPES or "Task timed out" in message:
        return FunctionUnavailableError(f"Lambda stopped the function: {text}", was_started=True)
    return AgentCodeError("agent_error", f"The function failed: {text}")
