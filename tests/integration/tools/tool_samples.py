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
    """Return plain text."""
    return " ".join([f"Hello, {name}."] * times)


async def find_holiday(year: int) -> Holiday:
    """Return a value that becomes JSON."""
    await asyncio.sleep(0)
    return Holiday("New Year", date(year, 1, 1))


def block() -> str:
    """Block longer than the timeout of the tests."""
    time.sleep(1.5)
    return "late"


async def wait() -> str:
    """Wait longer than the timeout of the tests, without a thread."""
    await asyncio.sleep(60)
    return "late"


def fail() -> None:
    """Raise an unexpected error."""
    raise RuntimeError("the dog ate it " * 100)


def time_out_by_itself() -> None:
    """Raise a timeout that is not that of the tool."""
    raise TimeoutError("the database did not answer")


CONSTANT = 1
