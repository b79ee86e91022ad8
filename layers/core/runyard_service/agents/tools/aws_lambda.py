"""The `lambda` tool: another Lambda function, invoked by name with the arguments as its event."""

import asyncio
import base64
import json

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from runyard_service.agents.definitions.tools import LambdaTool
from runyard_service.agents.lambda_client import TRANSIENT_CODES, lambda_client, was_sent
from runyard_service.agents.tools.base import ToolError, ToolInvocation

EXCERPT_CHARACTERS = 500


async def call_lambda(tool: LambdaTool, invocation: ToolInvocation) -> str:
    """Invoke the function and return its response; a JSON text is unchanged.

    Raise ToolError: `lambda_error` if the function fails, `lambda_rejected` if AWS does not invoke
    it, `timeout`, or `unreachable`.
    """
    return await asyncio.to_thread(_invoke, tool, invocation)


def _invoke(tool: LambdaTool, invocation: ToolInvocation) -> str:
    try:
        response = lambda_client(tool.timeout).invoke(
            FunctionName=tool.function,
            InvocationType="RequestResponse",
            ClientContext=_client_context(invocation),
            Payload=json.dumps(dict(invocation.input)).encode(),
        )
        payload = response["Payload"].read().decode("utf-8", "replace")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        message, kind = f"AWS did not invoke it: {code}.", TRANSIENT_CODES.get(code, "rejected")
        raise ToolError("lambda_rejected", message, kind=kind) from error
    except ReadTimeoutError as error:
        message = f"No answer within {tool.timeout:g} s."
        raise ToolError("timeout", message, kind="network", is_in_doubt=True) from error
    except BotoCoreError as error:
        is_in_doubt = was_sent(error)
        message = "Lambda broke off." if is_in_doubt else "Lambda cannot be reached."
        raise ToolError("unreachable", message, kind="network", is_in_doubt=is_in_doubt) from error
    if response.get("FunctionError"):
        raise ToolError("lambda_error", _failure(payload))
    return _result(payload)


def _client_context(invocation: ToolInvocation) -> str:
    """The idempotency key, which the function finds in `context.client_context.custom`."""
    custom = {"run_id": invocation.run_id, "tool_call_id": invocation.tool_call_id}
    return base64.b64encode(json.dumps({"custom": custom}).encode()).decode()


def _failure(payload: str) -> str:
    """The type and message of the function's error, without its stack."""
    try:
        error = json.loads(payload)
        text = f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, TypeError, KeyError):
        text = "The function failed."
    return text[:EXCERPT_CHARACTERS]


def _result(payload: str) -> str:
    """A JSON string without its quotes, any other JSON as it is."""
    try:
        value = json.loads(payload)
    except ValueError:
        return payload
    return value if isinstance(value, str) else payload
