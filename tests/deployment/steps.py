"""A step of the deployment test."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step, and the fact that it has verified when it ends."""

    announced: str
    take: Callable[[], str]
