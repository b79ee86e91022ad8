"""Functions that the tests of the `python` tool call."""

import asyncio
import time
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Holiday:
    """A result that is not text."""

    name: str
    day: date


def greet(name: str, times: int = 1) -> str:
    """Plain text."""
    return " ".join([f"Hello, {name}."] * times)


async def find_holiday(year: int) -> Holiday:
    """Something that becomes JSON."""
    await asyncio.sleep(0)
    return Holiday("New Year", date(year, 1, 1))


def block() -> str:
    """Longer than the tests let it."""
    time.sleep(1.5)
    return "late"


async def wait() -> str:
    """Longer than the tests let it, without a thread."""
    await asyncio.sleep(60)
    return "late"


def fail() -> None:
    """Raise what nobody expects."""
    raise RuntimeError("the dog ate it " * 100)


def time_out_by_itself() -> None:
    """A timeout that is not the tool's own."""
    raise TimeoutError("the database did not answer")


CONSTANT = 1
