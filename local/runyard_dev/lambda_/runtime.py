"""Execute the handlers as Lambda does: load them by file, pass a context, report their errors.

All functions share this process and its environment. On AWS each function has its own.
"""

import importlib.util
import json
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from runyard_dev.template.template import Function
from runyard_service.domain.errors import RunyardError

# Invocations that execute at the same time. More would only compete for the processor. The timeout
# of a function does not include the time in the queue.
MAX_CONCURRENCY = 64

Handler = Callable[[Any, Any], Any]


class HandlerNotFoundError(Exception):
    """The path of the template contains no code, or the code does not define the handler."""


@dataclass(frozen=True)
class LambdaContext:
    """The context object of one invocation."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    deadline: float = field(repr=False)
    function_version: str = "$LATEST"
    log_group_name: str = "local"
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the timeout of the function."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


@dataclass(frozen=True)
class Outcome:
    """A finished invocation: the payload, and whether it reports an error."""

    request_id: str
    payload: bytes
    failed: bool = False


class Runtime:
    """The functions of a template. `preload` or the first invocation loads their code."""

    def __init__(self, functions: Iterable[Function], concurrency: int = MAX_CONCURRENCY) -> None:
        """Index the functions by their local name and by their logical id."""
        self._functions = {
            name: function
            for function in functions
            for name in (function.name, function.logical_id)
        }
        self._handlers: dict[str, Handler] = {}
        self._loading = threading.Lock()
        self._counting = threading.Lock()
        self._counts = {
            function.logical_id: {"started": 0, "active": 0}
            for function in self._by_logical_id().values()
        }
        self._workers = ThreadPoolExecutor(concurrency, thread_name_prefix="handler")

    def find(self, name_or_arn: str) -> Function | None:
        """Return the function of a name or an ARN, each with or without a qualifier."""
        name = name_or_arn
        if ":function:" in name:
            name = name.split(":function:", 1)[1]
        return self._functions.get(name.split(":", 1)[0])

    def preload(self) -> dict[str, str]:
        """Import every handler that this stack invokes. Return the errors by logical id."""
        failures = {}
        for logical_id, function in self._by_logical_id().items():
            if function.serves_http:
                continue
            try:
                self._handler(function)
            except Exception as exc:  # noqa: BLE001 - an entry point
                failures[logical_id] = f"{type(exc).__name__}: {exc}"
        return failures

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many invocations have started and how many are active, by logical id."""
        with self._counting:
            return {name: dict(counts) for name, counts in self._counts.items()}

    def _count(self, function: Function, *, started: int = 0, active: int) -> None:
        with self._counting:
            self._counts[function.logical_id]["started"] += started
            self._counts[function.logical_id]["active"] += active

    def invoke(self, function: Function, payload: bytes) -> Outcome:
        """Run the handler and wait for it, but no longer than the function's timeout."""
        request_id = str(uuid.uuid4())
        started = threading.Event()
        future = self._workers.submit(self._run, function, payload, request_id, started)
        started.wait()
        try:
            return future.result(function.timeout_seconds)
        except TimeoutError:
            # Lambda would end the process. A thread cannot be stopped: it continues until its next
            # append, which fails because another invocation has appended to the log.
            message = (
                f"RequestId: {request_id} Error: Task timed out after "
                f"{function.timeout_seconds:.2f} seconds"
            )
            return _failure(request_id, "Sandbox.Timedout", message, [])

    def invoke_later(self, function: Function, payload: bytes) -> str:
        """Run the handler without waiting for it. Log a failure, and do not retry."""
        request_id = str(uuid.uuid4())
        self._workers.submit(self._run, function, payload, request_id, threading.Event())
        return request_id

    def _run(
        self, function: Function, payload: bytes, request_id: str, started: threading.Event
    ) -> Outcome:
        started.set()
        self._count(function, started=1, active=1)
        try:
            return self._outcome(function, payload, request_id)
        finally:
            self._count(function, active=-1)

    def _outcome(self, function: Function, payload: bytes, request_id: str) -> Outcome:
        try:
            handler = self._handler(function)
        except Exception as exc:  # noqa: BLE001 - an entry point
            return _failure_of(request_id, function, payload, exc, "Runtime.ImportModuleError")
        context = LambdaContext(
            function_name=function.name,
            invoked_function_arn=function.arn,
            memory_limit_in_mb=str(function.memory_mb),
            aws_request_id=request_id,
            deadline=time.monotonic() + function.timeout_seconds,
        )
        try:
            result = handler(json.loads(payload or b"{}"), context)
        except Exception as exc:  # noqa: BLE001 - Lambda reports whatever is raised
            return _failure_of(request_id, function, payload, exc)
        try:
            return Outcome(request_id, json.dumps(result).encode())
        except (TypeError, ValueError) as exc:
            return _failure_of(request_id, function, payload, exc, "Runtime.MarshalError")

    def _by_logical_id(self) -> dict[str, Function]:
        return {function.logical_id: function for function in self._functions.values()}

    def _handler(self, function: Function) -> Handler:
        with self._loading:
            if function.logical_id not in self._handlers:
                self._handlers[function.logical_id] = _load(function)
            return self._handlers[function.logical_id]


def _load(function: Function) -> Handler:
    """Import the handler's file under a unique name: every folder has a `handler.py`."""
    module_path, _, attribute = function.handler.rpartition(".")
    path = function.code_dir / f"{module_path}.py"
    if not path.exists():
        raise HandlerNotFoundError(f"{path} does not exist")
    name = f"runyard_function_{function.logical_id}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HandlerNotFoundError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        handler: Handler = getattr(module, attribute)
    except BaseException:
        # As on Lambda, the next invocation tries again.
        del sys.modules[name]
        raise
    return handler


def _failure_of(
    request_id: str,
    function: Function,
    payload: bytes,
    exc: BaseException,
    error_type: str | None = None,
) -> Outcome:
    line = {
        "level": "WARNING" if isinstance(exc, RunyardError) else "ERROR",
        "message": f"{function.logical_id} failed",
        "run_id": _run_id(payload),
        "function_request_id": request_id,
        "exception": "".join(traceback.format_exception(exc)),
    }
    print(json.dumps(line), flush=True)
    stack = traceback.format_list(traceback.extract_tb(exc.__traceback__))
    return _failure(request_id, error_type or type(exc).__name__, str(exc), stack)


def _run_id(payload: bytes) -> str:
    try:
        return str(json.loads(payload)["run_id"])
    except (ValueError, TypeError, KeyError):
        return ""


def _failure(request_id: str, error_type: str, message: str, stack: list[str]) -> Outcome:
    error = {
        "errorMessage": message,
        "errorType": error_type,
        "requestId": request_id,
        "stackTrace": stack,
    }
    return Outcome(request_id, json.dumps(error).encode(), failed=True)
