"""What a process says: JSON lines with `run_id`, `step` and `sequence`, some of them with measures.

Never logged: prompts, replies, tool arguments, answers, tokens, keys; so never a whole event.
Measures go out as lines in CloudWatch's embedded metric format: a metric costs no call, cannot
delay or fail anything, and needs no flush, also where no handler ends (a stream). Each handler
calls `configure_observability` while its function starts.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools import Logger

from runyard_service.domain.errors import SupersededError
from runyard_service.observability import log_context, metrics, xray
from runyard_service.observability.metrics import MetricRecord
from runyard_service.settings import settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

NAMESPACE = "Runyard"
# It only tells the state machine how it is: somebody else was first.
_EXPECTED_ERRORS = SupersededError

logger = Logger(service="runyard_service")

_Handler = Callable[[dict[str, Any], "LambdaContext"], Any]
_AnyHandler = TypeVar("_AnyHandler", bound=_Handler)


def _with_keys(record: logging.LogRecord) -> bool:
    """Give a line what its invocation is at work on, unless it says so itself."""
    for name, value in log_context.current().items():
        record.__dict__.setdefault(name, value)
    return True


def emf_line(reading: MetricRecord) -> str:
    """The reading as one line: a log line, and a metric for each measure.

    Each measure is kept for the stage as a whole, and beside that by each dimension alone.
    """
    stage = settings().stage
    line: dict[str, Any] = {
        "_aws": {
            "Timestamp": time.time_ns() // 1_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Stage"], *(["Stage", name] for name in reading.dimensions)],
                    "Metrics": [{"Name": one.name, "Unit": one.unit} for one in reading.values],
                }
            ],
        },
        "Stage": stage,
        **{str(name): value for name, value in reading.dimensions.items()},
        **reading.keys,
        "level": "INFO",
        "message": reading.fact,
        **{measure.name: number for measure, number in reading.values.items()},
    }
    return json.dumps(line, separators=(",", ":"))


def _write(reading: MetricRecord) -> None:
    # In one call, so that lines of several threads do not mix.
    sys.stdout.write(emf_line(reading) + "\n")
    sys.stdout.flush()


def observe(handler: _AnyHandler) -> _AnyHandler:
    """A handler whose lines say which invocation they are of, and whose trace says which run."""

    @wraps(handler)
    def observed(event: dict[str, Any], context: "LambdaContext") -> Any:
        log_context.reset()
        began = time.time()
        try:
            return handler(event, context)
        except Exception as error:
            # The runtime tells the rest, without a run: what the state machine knows the error by.
            told = logger.info if isinstance(error, _EXPECTED_ERRORS) else logger.warning
            told("invocation failed", extra={"error": type(error).__name__})
            raise
        finally:
            xray.annotate(os.environ, "runyard", began, log_context.current())

    return logger.inject_lambda_context(observed, clear_state=True)  # type: ignore[return-value]


def configure_observability() -> None:
    """Add the log context to the lines of this process, and write its metrics as log lines.

    Modules log through the standard library under their own names below `runyard_service`, so
    their loggers are children of `logger`. A second call changes nothing.
    """
    for handler in logger.handlers:
        handler.addFilter(_with_keys)
    metrics.set_emitter(_write)


def log_server_as_json() -> None:
    """Write uvicorn's own lines as JSON, like the lines of this process."""
    server = logging.getLogger("uvicorn")
    server.handlers, server.propagate = logger.handlers, False
