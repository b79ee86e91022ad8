"""Turns LangGraph's queue from looking twice a second to looking a hundred times.

Its development server has no setting for it: the half second is written in its source.
"""

import asyncio
import sys
from typing import Any

_sleep = asyncio.sleep


async def _sleep_less(delay: float, result: Any = None) -> Any:
    return await _sleep(delay, result)


def _sleep_by_caller(delay: float, result: Any = None) -> Any:
    caller = sys._getframe(1).f_globals.get("__name__", "")
    is_queue = delay == 0.5 and caller.startswith("langgraph_runtime_inmem")
    return _sleep_less(0.01 if is_queue else delay, result)


setattr(asyncio, "sleep", _sleep_by_caller)  # noqa: B010 - to a type checker no variable
