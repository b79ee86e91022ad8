"""Intercept every external call of a process.

Calls of boto3 are intercepted by the events of botocore; HTTP of tools and providers at its client.
The scripted model and the Python tools run in the process, and count as external systems.
"""

import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2
from botocore import handlers
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from runyard_dev.dev_stack import REPOSITORY
from runyard_service.adapters import aws_session
from runyard_service.agents.models.base import ModelEvent, ModelRequest, Response
from runyard_service.agents.models.scripted import ScriptedModel
from runyard_service.agents.tools import python
from runyard_service.domain.errors import ModelUnavailableError
from tests.fault_injection.call_labels import aws_call, http_call
from tests.fault_injection.faults import FILE_VARIABLE, InterceptedCall, Process, SelfProcess
from tests.support.servers.strict_dynamodb import hook

PACKAGE = str(REPOSITORY / "layers/core/runyard_service")
_OWN = str(Path(__file__).resolve().parent)

CurrentProcess = Callable[[], Process | None]
_in_flight = threading.local()
_installed = ExitStack()


def install() -> None:
    """Inject the fault that the environment of this process names, if it names one."""
    hook.install()  # A process has a single plugin, so this one installs the strict rules too.
    if file := os.environ.get(FILE_VARIABLE):
        process = SelfProcess(Path(file))
        _installed.enter_context(intercept_calls(lambda: process))


def create_app() -> Any:
    """Return the web app, in a process with injected faults."""
    from functions.stream.app import create_app as create

    install()
    return create()


@contextmanager
def intercept_calls(current_process: CurrentProcess) -> Iterator[None]:
    """Intercept the calls of clients that are created in the block.

    `current_process` returns the process that makes a call, or None for calls of the test.
    """
    before_call, before_send = _aws_hooks(current_process)
    specs: list[Any] = [("before-call", before_call), ("before-send", before_send)]
    builtin: list[Any] = handlers.BUILTIN_HANDLERS
    originals = (httpx2.AsyncClient.send, ScriptedModel.stream, python.call_python)
    builtin.extend(specs)
    aws_session.session.cache_clear()  # A session has the handlers of its creation.
    _set(httpx2.AsyncClient, "send", _http_hook(current_process, originals[0]))
    _set(ScriptedModel, "stream", _model_hook(current_process, originals[1]))
    _set(python, "call_python", _python_hook(current_process, originals[2]))
    try:
        yield
    finally:
        for spec in specs:
            builtin.remove(spec)
        aws_session.session.cache_clear()
        _set(httpx2.AsyncClient, "send", originals[0])
        _set(ScriptedModel, "stream", originals[1])
        _set(python, "call_python", originals[2])


def _set(owner: Any, name: str, value: Any) -> None:
    # setattr, because type checkers reject an assignment to a method or a function.
    setattr(owner, name, value)


def _aws_hooks(current_process: CurrentProcess) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return the handlers of each call and of each attempt; both run in the caller's thread."""

    def before_call(model: Any, params: Any, **_: Any) -> None:
        process = current_process()
        _in_flight.call = process and process.start_call(aws_call(model, params), _current_lines())

    def before_send(request: Any, **_: Any) -> None:
        call: InterceptedCall | None = getattr(_in_flight, "call", None)
        if call is None:
            return

        def lost() -> Exception:
            return ConnectionClosedError(endpoint_url=request.url)

        call.apply_fault("before", lost)
        if call.should_fail("after"):
            session: Any = URLLib3Session()
            session.send(request)
            session.close()
        call.apply_fault("after", lost)

    return before_call, before_send


def _http_hook(current_process: CurrentProcess, send: Any) -> Any:
    async def hooked(self: Any, request: Any, **options: Any) -> Any:
        process = current_process()
        if process is None:
            return await send(self, request, **options)
        call = process.start_call(
            http_call(request.method, request.url.path, request.headers), _current_lines()
        )
        call.apply_fault("before", lambda: httpx2.ConnectError("connection lost"))
        response = await send(self, request, **options)
        if call.should_fail("after"):
            await response.aclose()
        call.apply_fault("after", lambda: httpx2.ReadError("connection lost"))
        return response

    return hooked


def _model_hook(current_process: CurrentProcess, stream: Any) -> Any:
    async def hooked(
        self: ScriptedModel, request: ModelRequest
    ) -> AsyncGenerator[ModelEvent, None]:
        process = current_process()
        name = "model.stream summary" if request.purpose == "summary" else "model.stream"
        call = process and process.start_call(name, _current_lines())
        if call:
            call.apply_fault("before", lambda: ModelUnavailableError("connection lost"))
        async for event in stream(self, request):
            # The last event of the model is lost.
            if call and isinstance(event, Response):
                call.apply_fault("after", lambda: ModelUnavailableError("connection lost"))
            yield event

    return hooked


def _python_hook(current_process: CurrentProcess, call_python: Any) -> Any:
    async def hooked(tool: Any, invocation: Any) -> str:
        process = current_process()
        if process is None:
            return str(await call_python(tool, invocation))
        call = process.start_call(f"python.{tool.function.partition(':')[2]}", _current_lines())
        call.apply_fault("before", lambda: ConnectionError("connection lost"))
        result = str(await call_python(tool, invocation))
        call.apply_fault("after", lambda: ConnectionError("connection lost"))
        return result

    return hooked


def _current_lines() -> tuple[tuple[str, int], ...]:
    """Return the lines of the package on the stack of this thread, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    lines = []
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE) and not file.startswith(_OWN):
            lines.append((file[len(PACKAGE) + 1 :], frame.f_lineno))
        frame = frame.f_back
    return tuple(lines)
