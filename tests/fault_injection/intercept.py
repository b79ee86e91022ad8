"""Where a process calls the outside: every such call passes here once this was put in between.

boto3's calls by botocore's own events, outgoing HTTP of tools and providers at its client, and the
two that stay inside but stand for the outside: the scripted model, and the python tools.
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

Present = Callable[[], Process | None]
_under_way = threading.local()
_for_good = ExitStack()


def install() -> None:
    """Let this process meet the fault that its environment asks for, if it does."""
    hook.install()  # A process has a single plugin, so this one installs the strict rules too.
    if file := os.environ.get(FILE_VARIABLE):
        process = SelfProcess(Path(file))
        _for_good.enter_context(intercept_calls(lambda: process))


def create_app() -> Any:
    """The web app, in a process that may meet a fault."""
    from functions.stream.app import create_app as create

    install()
    return create()


@contextmanager
def intercept_calls(present: Present) -> Iterator[None]:
    """Let calls of clients that are made from now on pass here; `present` says whose they are."""
    before_call, before_send = _aws_hooks(present)
    specs: list[Any] = [("before-call", before_call), ("before-send", before_send)]
    builtin: list[Any] = handlers.BUILTIN_HANDLERS
    kept = (httpx2.AsyncClient.send, ScriptedModel.stream, python.call_python)
    builtin.extend(specs)
    aws_session.session.cache_clear()  # It has the handlers that it was made with.
    _set(httpx2.AsyncClient, "send", _http_hook(present, kept[0]))
    _set(ScriptedModel, "stream", _model_hook(present, kept[1]))
    _set(python, "call_python", _python_hook(present, kept[2]))
    try:
        yield
    finally:
        for spec in specs:
            builtin.remove(spec)
        aws_session.session.cache_clear()
        _set(httpx2.AsyncClient, "send", kept[0])
        _set(ScriptedModel, "stream", kept[1])
        _set(python, "call_python", kept[2])


def _set(owner: Any, name: str, value: Any) -> None:
    # Through setattr: to a type checker neither a method nor a function is a variable.
    setattr(owner, name, value)


def _aws_hooks(present: Present) -> tuple[Callable[..., None], Callable[..., None]]:
    """What botocore tells of each call, and of each attempt to send it, in the caller's thread."""

    def before_call(model: Any, params: Any, **_: Any) -> None:
        process = present()
        _under_way.crossing = process and process.begin_call(aws_call(model, params), _places())

    def before_send(request: Any, **_: Any) -> None:
        crossing: InterceptedCall | None = getattr(_under_way, "crossing", None)
        if crossing is None:
            return

        def lost() -> Exception:
            return ConnectionClosedError(endpoint_url=request.url)

        crossing.at_point("before", lost)
        if crossing.should_fail("after"):
            session: Any = URLLib3Session()
            session.send(request)
            session.close()
        crossing.at_point("after", lost)

    return before_call, before_send


def _http_hook(present: Present, send: Any) -> Any:
    async def hooked(self: Any, request: Any, **options: Any) -> Any:
        process = present()
        if process is None:
            return await send(self, request, **options)
        crossing = process.begin_call(http_call(request.method, request.url.path), _places())
        crossing.at_point("before", lambda: httpx2.ConnectError("cut"))
        response = await send(self, request, **options)
        if crossing.should_fail("after"):
            await response.aclose()
        crossing.at_point("after", lambda: httpx2.ReadError("cut"))
        return response

    return hooked


def _model_hook(present: Present, stream: Any) -> Any:
    async def hooked(
        self: ScriptedModel, request: ModelRequest
    ) -> AsyncGenerator[ModelEvent, None]:
        process = present()
        crossing = process and process.begin_call("model.stream", _places())
        if crossing:
            crossing.at_point("before", lambda: ModelUnavailableError("cut"))
        async for event in stream(self, request):
            # What the model has given last is what is lost.
            if crossing and isinstance(event, Response):
                crossing.at_point("after", lambda: ModelUnavailableError("cut"))
            yield event

    return hooked


def _python_hook(present: Present, call_python: Any) -> Any:
    async def hooked(tool: Any, invocation: Any) -> str:
        process = present()
        if process is None:
            return str(await call_python(tool, invocation))
        crossing = process.begin_call(f"python.{tool.function.partition(':')[2]}", _places())
        crossing.at_point("before", lambda: ConnectionError("cut"))
        result = str(await call_python(tool, invocation))
        crossing.at_point("after", lambda: ConnectionError("cut"))
        return result

    return hooked


def _places() -> tuple[tuple[str, int], ...]:
    """The lines of the package that are at work in this thread, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    places = []
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE) and not file.startswith(_OWN):
            places.append((file[len(PACKAGE) + 1 :], frame.f_lineno))
        frame = frame.f_back
    return tuple(places)
