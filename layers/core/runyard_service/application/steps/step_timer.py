"""Duration metrics of a step, its model request and its tools, emitted when the step is done.

If a step pauses for a person, or another worker has started it, only the measured parts are
emitted.
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
    """The timer of the consecutive steps of one worker."""

    def __init__(self, agent: str) -> None:
        self._dimensions: dict[Dimension, str] = {"Agent": agent}
        self._durations: dict[Metric, float] = {}

    @contextmanager
    def time_model(self) -> Iterator[None]:
        """Start a new step, and measure the model request with its retries."""
        self._durations = {}
        with self._timed(MODEL_DURATION):
            yield

    @contextmanager
    def time_tools(self) -> Iterator[None]:
        """Measure the tool calls of the step."""
        with self._timed(TOOL_DURATION):
            yield

    def finish(self) -> None:
        """Emit the durations of a step that has its message and all results, or the output."""
        if MODEL_DURATION in self._durations:
            self._durations[STEP_DURATION] = sum(self._durations.values())
        self._emit()

    def pause(self) -> None:
        """Emit the model duration only: the step waits for a person, and its calls are partial."""
        self._durations.pop(TOOL_DURATION, None)
        self._emit()

    def _emit(self) -> None:
        if self._durations:
            record("step done", self._durations, self._dimensions)
        self._durations = {}

    @contextmanager
    def _timed(self, metric: Metric) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._durations[metric] = (time.monotonic() - started) * 1000
