"""JSON log lines with `run_id`, `step` and `sequence`, and metrics as log lines.

Never logged: prompts, responses, tool arguments, answers, tokens and keys, so never a whole event.
Metrics are log lines in CloudWatch's embedded metric format. A metric then costs no call, cannot
delay or fail a request, and needs no flush, also in a stream, which has no handler that ends. Each
handler calls `configure_observability` while its function starts.
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
# Only reports to the state machine that another worker was first.
_EXPECTED_ERRORS = SupersededError

logger = Logger(service="runyard_service")

_Handler = Callable[[dict[str, Any], "LambdaContext"], Any]
_AnyHandler = TypeVar("_AnyHandler", bound=_Handler)


def _add_log_context(record: logging.LogRecord) -> bool:
    """Add the log context to a record. Fields that the record has already stay unchanged."""
    for name, value in log_context.current().items():
        record.__dict__.setdefault(name, value)
    return True


def emf_line(reading: MetricRecord) -> str:
    """Return the record as one line: a log line that contains a value for each metric.

    CloudWatch stores each metric for the whole stack, and also by each single dimension.
    """
    stack = settings().stack_name
    line: dict[str, Any] = {
        "_aws": {
            "Timestamp": time.time_ns() // 1_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Stack"], *(["Stack", name] for name in reading.dimensions)],
                    "Metrics": [
                        {"Name": metric.name, "Unit": metric.unit} for metric in reading.values
                    ],
                }
            ],
        },
        "Stack": stack,
        **{str(name): value for name, value in reading.dimensions.items()},
        **reading.keys,
        "level": "INFO",
        "message": reading.fact,
        **{metric.name: number for metric, number in reading.values.items()},
    }
    return json.dumps(line, separators=(",", ":"))


def _write(reading: MetricRecord) -> None:
    # A single call, because several calls would mix the lines of several threads.
    sys.stdout.write(emf_line(reading) + "\n")
    sys.stdout.flush()


def observe(handler: _AnyHandler) -> _AnyHandler:
    """Return the handler with its invocation in every log line and its run in the trace."""

    @wraps(handler)
    def observed(event: dict[str, Any], context: "LambdaContext") -> Any:
        log_context.reset()
        started_at = time.time()
        try:
            return handler(event, context)
        except Exception as error:
            # The runtime logs the traceback, but without the run. The state machine matches the
            # error by its type's name.
            log = logger.info if isinstance(error, _EXPECTED_ERRORS) else logger.warning
            log("invocation failed", extra={"error": type(error).__name__})
            raise
        finally:
            xray.annotate(os.environ, "runyard", started_at, log_context.current())

    return logger.inject_lambda_context(observed, clear_state=True)  # type: ignore[return-value]


def configure_observability() -> None:
    """Add the log context to the lines of this process, and write its metrics as log lines.

    Modules log through the standard library under their own names below `runyard_service`, so
    their loggers are children of `logger`. A second call changes nothing.
    """
    for handler in logger.handlers:
        handler.addFilter(_add_log_context)
    metrics.set_emitter(_write)


def log_server_as_json() -> None:
    """Write uvicorn's own lines as JSON, like the lines of this process."""
    server = logging.getLogger("uvicorn")
    server.handlers, server.propagate = logger.handlers, False
