"""How long a step takes, and what of it the model and its tools: told once it is done.

Of a step that stops to ask a person, or that another worker has begun, only what was measured here.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from runyard_service.observability.metrics import (
    MODEL_DURATION,
    STEP_DURATION,
    TOOL_DURATION,
    Dimension,
    Metric,
    record,
)


class StepTimer:
    """The clock of one worker's steps, one after the other."""

    def __init__(self, agent: str) -> None:
        self._by: dict[Dimension, str] = {"Agent": agent}
        self._spent: dict[Metric, float] = {}

    @contextmanager
    def time_model(self) -> Iterator[None]:
        """While the model is asked, again where it has to be: a new step begins."""
        self._spent = {}
        with self._timed(MODEL_DURATION):
            yield

    @contextmanager
    def time_tools(self) -> Iterator[None]:
        """While the reply's calls are made."""
        with self._timed(TOOL_DURATION):
            yield

    def finish(self) -> None:
        """The step has its reply and all results, or its reply is the answer."""
        if MODEL_DURATION in self._spent:
            self._spent[STEP_DURATION] = sum(self._spent.values())
        self._emit()

    def pause(self) -> None:
        """The step waits for a person, and what it has done of its calls says little."""
        self._spent.pop(TOOL_DURATION, None)
        self._emit()

    def _emit(self) -> None:
        if self._spent:
            record("step done", self._spent, self._by)
        self._spent = {}

    @contextmanager
    def _timed(self, measure: Metric) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._spent[measure] = (time.monotonic() - began) * 1000
