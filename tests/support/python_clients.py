"""Both Python clients, for tests that must hold for each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from runyard import AsyncRunyard, Runyard


class PythonClient:
    """Performs one call with a client that blocks, or with a client on asyncio."""

    def __init__(self, *, is_async: bool) -> None:
        self._is_async = is_async

    def __call__(
        self, url: str, access_key: str, work: Callable[[Any], Any], **options: Any
    ) -> Any:
        """Return the result of `work`, or the list of the items that it yields."""
        if self._is_async:
            return asyncio.run(_run(url, access_key, work, options))
        with Runyard(url=url, access_key=access_key, **options) as client:
            result = work(client)
            return list(result) if isinstance(result, Iterator) else result


async def _run(
    url: str, access_key: str, work: Callable[[Any], Any], options: dict[str, Any]
) -> Any:
    async with AsyncRunyard(url=url, access_key=access_key, **options) as client:
        result = work(client)
        if isinstance(result, AsyncIterator):
            return [item async for item in result]
        return await result


EACH_PYTHON_CLIENT = [
    pytest.param(PythonClient(is_async=False), id="Runyard"),
    pytest.param(PythonClient(is_async=True), id="AsyncRunyard"),
]
