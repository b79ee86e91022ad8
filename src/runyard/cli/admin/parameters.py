"""Parameter types that several commands use."""

import re
from decimal import Decimal
from typing import Any

import click

MAX_NAME_LENGTH = 256
"""The service's limit. A test compares both."""


class Name(click.ParamType[str]):
    """The name of a project, an organization or a user. It must fit into an HTTP header."""

    name = "name"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the name, or fail with a usage error."""
        text = str(value)
        if text != text.strip() or not text.isascii() or not text.isprintable():
            self.fail("must be printable ASCII, without spaces around it", param, ctx)
        if not 0 < len(text) <= MAX_NAME_LENGTH:
            self.fail(f"must be 1 to {MAX_NAME_LENGTH} characters long", param, ctx)
        return text


class Dollars(click.ParamType[Decimal]):
    """An amount of US dollars."""

    name = "amount"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        """Return the amount, or fail with a usage error."""
        if isinstance(value, Decimal):
            return value
        if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", str(value), re.ASCII):
            self.fail("must be an amount like 50 or 0.25", param, ctx)
        return Decimal(str(value))


class NumberOrDefault(click.ParamType[int]):
    """A number, 0 for no limit, or `default` for the value of the installation."""

    INSTALLATION_DEFAULT = -1

    def __init__(self, name: str, maximum: int) -> None:
        self.name = name
        self._maximum = maximum

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the number or INSTALLATION_DEFAULT, or fail with a usage error."""
        if isinstance(value, int):
            return value
        if value == "default":
            return self.INSTALLATION_DEFAULT
        if not re.fullmatch(r"\d{1,9}", str(value), re.ASCII) or int(value) > self._maximum:
            expected = f"must be a number of {self.name} from 0 to {self._maximum}, or default"
            self.fail(expected, param, ctx)
        return int(value)


MAX_DAYS = 36_500
NAME = Name()
DOLLARS = Dollars()
RETENTION_PERIOD = NumberOrDefault("days", MAX_DAYS)
ACTIVE_RUNS = NumberOrDefault("runs", 1_000_000)
DAYS = click.IntRange(1, MAX_DAYS)
OVERLAP_HOURS = click.IntRange(0, 8_760)


def exactly_one(**options: object) -> None:
    """Raise a usage error unless exactly one of the options is set."""
    if sum(bool(value) for value in options.values()) != 1:
        raise click.UsageError(f"use exactly one of {_flags(options)}")


def at_most_one(**options: object) -> None:
    """Raise a usage error if more than one of the options is set."""
    if sum(bool(value) for value in options.values()) > 1:
        raise click.UsageError(f"use only one of {_flags(options)}")


def _flags(options: dict[str, object]) -> str:
    return " and ".join(f"--{name}" for name in options)
