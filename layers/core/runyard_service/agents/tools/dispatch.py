"""Dispatch a tool call to the implementation of the tool's kind."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, assert_never

from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.tools import (
    HttpTool,
    LambdaTool,
    LocalTool,
    PinnedMcpTool,
    PythonTool,
)
from runyard_service.agents.mcp.base import InputRequired, McpEnvironment, Progress, ToolResult
from runyard_service.agents.tools.base import ToolEnvironment, ToolError, ToolInvocation

EXCERPT_CHARACTERS = 200
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Answers:
    """What continues a call of an MCP server that asked for input."""

    responses: Mapping[str, Any] | None = None
    request_state: str | None = None


async def call_tool(
    tool: LocalTool, invocation: ToolInvocation, environment: ToolEnvironment
) -> str:
    """Call the tool and return its result as text.

    Raise ToolError for every failure: `timeout` after `tool.timeout` seconds, `unavailable`
    without a call if the circuit of the tool's address is open.
    """
    address = _address(tool, invocation, environment)
    circuit = environment.circuits.of(address) if address else None
    if circuit and (reason := circuit.open_reason()):
        raise ToolError("unavailable", reason, kind="overloaded", was_attempted=False)
    try:
        result = await _limited(_dispatched(tool, invocation, environment), tool.timeout)
    except ToolError as error:
        # A response of any status shows that the tool is reachable.
        if circuit and error.kind == "network":
            # Not the message: it quotes the tool, and other runs receive this reason.
            circuit.record_failure(f"The call before failed: {error.code}.", error.retry_after)
        elif circuit:
            circuit.record_success()
        raise
    if circuit:
        circuit.record_success()
    return result


async def call_mcp_tool(
    tool: PinnedMcpTool,
    invocation: ToolInvocation,
    server: McpServer,
    environment: McpEnvironment,
    answers: Answers,
    on_progress: Callable[[Progress], None],
) -> ToolResult | InputRequired:
    """Call the tool of an MCP server, and return its result or what the server asks.

    Raise ToolError for every failure. The client of the server has its circuit.
    """
    from runyard_service.agents.mcp import client

    called = client.call_tool(
        tool.server,
        server.model_copy(update={"timeout": tool.timeout}),
        tool.listed,
        invocation.input,
        environment,
        protocol=tool.protocol,
        input_responses=answers.responses,
        request_state=answers.request_state,
        on_progress=on_progress,
        idempotency_key=invocation.tool_call_id,
    )
    return await _limited(called, tool.timeout)


def _address(tool: LocalTool, invocation: ToolInvocation, environment: ToolEnvironment) -> str:
    """Return the circuit's key: the API host or the function; empty for Python tools.

    The arguments of a call may choose the host. The circuit of such a host belongs to the project:
    its failures must not stop the calls of another project.
    """
    match tool:
        case HttpTool():
            from runyard_service.agents.tools.http import host_of

            host, is_chosen = host_of(tool.url, invocation.input, environment.variables)
            return f"{invocation.project_id} {host}" if is_chosen else host
        case LambdaTool():
            return f"function {tool.function}"
        case PythonTool():
            return ""
        case _:
            assert_never(tool)


async def _limited(called: Awaitable[_Result], seconds: float) -> _Result:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await called
    except ToolError:
        raise
    # Tool code is not Runyard's: the model receives its errors, and the run continues.
    except Exception as error:
        if limit.expired():
            message = f"No answer within {seconds:g} s."
            raise ToolError("timeout", message, kind="network", is_in_doubt=True) from error
        message = f"{type(error).__name__}: {error}"[:EXCERPT_CHARACTERS]
        raise ToolError("tool_error", message) from error


async def _dispatched(
    tool: LocalTool, invocation: ToolInvocation, environment: ToolEnvironment
) -> str:
    # Each kind brings a library that an agent without it should not have to load.
    match tool:
        case HttpTool():
            from runyard_service.agents.tools.http import call_http

            return await call_http(tool, invocation, environment)
        case PythonTool():
            from runyard_service.agents.tools.python import call_python

            return _checked(await call_python(tool, invocation), invocation)
        case LambdaTool():
            from runyard_service.agents.tools.aws_lambda import call_lambda

            return _checked(await call_lambda(tool, invocation), invocation)
        case _:
            assert_never(tool)


def _checked(result: str, invocation: ToolInvocation) -> str:
    """Return the result, or raise the error that a too large response of the `http` tool raises.

    The call was made. So an unsafe call is in doubt, and a person decides: the model could only
    repeat it.
    """
    if len(result.encode("utf-8", "replace")) > invocation.max_result_bytes:
        message = f"More than {invocation.max_result_bytes} bytes."
        raise ToolError("response_too_large", message, is_in_doubt=True)
    return result
