"""The one door to the tools that a machine executes, whatever their kind."""

import asyncio
from typing import assert_never

from runyard.agent.definition import ExecutableTool, HttpTool, LambdaTool, PythonTool
from runyard.agent.tools.port import ToolEnvironment, ToolFailedError, ToolInvocation

EXCERPT_CHARACTERS = 200


async def call_tool(
    tool: ExecutableTool, invocation: ToolInvocation, environment: ToolEnvironment
) -> str:
    """Call the tool and give its result as text.

    Raises ToolFailedError for whatever went wrong, `timeout` after `tool.timeout` seconds among it.
    """
    limit = asyncio.timeout(tool.timeout)
    try:
        async with limit:
            return await _dispatched(tool, invocation, environment)
    except ToolFailedError:
        raise
    # Behind this door is code that is not ours: its fault is the model's news, not ours to fail on.
    except Exception as error:
        if limit.expired():
            message = f"No answer within {tool.timeout:g} s."
            raise ToolFailedError("timeout", message) from error
        message = f"{type(error).__name__}: {error}"[:EXCERPT_CHARACTERS]
        raise ToolFailedError("tool_error", message) from error


async def _dispatched(
    tool: ExecutableTool, invocation: ToolInvocation, environment: ToolEnvironment
) -> str:
    # Each kind brings a library that an agent without it should not have to load.
    match tool:
        case HttpTool():
            from runyard.agent.tools.http import call_http

            return await call_http(tool, invocation, environment)
        case PythonTool():
            from runyard.agent.tools.python import call_python

            return await call_python(tool, invocation)
        case LambdaTool():
            from runyard.agent.tools.aws_lambda import call_lambda

            return await call_lambda(tool, invocation)
        case _:
            assert_never(tool)
