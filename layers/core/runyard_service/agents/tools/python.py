"""The `python` tool: a function of the installation, called with the arguments as keywords."""

import asyncio
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pydantic_core

from runyard_service.agents.definitions.tools import PythonTool
from runyard_service.agents.tools.base import ToolError, ToolInvocation


async def call_python(tool: PythonTool, invocation: ToolInvocation) -> str:
    """Call the function; a coroutine is awaited, anything else runs in a thread.

    A thread cannot be stopped: after a timeout the function runs on, and its result is dropped.
    Raise ToolError `function_missing`, or the exception of the function.
    """
    function = await asyncio.to_thread(_loaded, tool.function)
    arguments = {str(name): value for name, value in invocation.input.items()}
    if inspect.iscoroutinefunction(function):
        result = await function(**arguments)
    else:
        result = await asyncio.to_thread(function, **arguments)
        if inspect.isawaitable(result):
            result = await result
    return result if isinstance(result, str) else pydantic_core.to_json(result).decode()


def _loaded(entry_point: str) -> Callable[..., Any]:
    module, _, name = entry_point.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ToolError("function_missing", f"There is no {entry_point!r}.") from error
    if not callable(function):
        raise ToolError("function_missing", f"{entry_point!r} is not a function.")
    found: Callable[..., Any] = function
    return found
