"""The tool that the measured agents call."""

import asyncio


async def look_up(seconds: float, characters: int) -> str:
    """Some text, after some time."""
    await asyncio.sleep(seconds)
    return "x" * characters
