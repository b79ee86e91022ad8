"""The environment of the crash tests: processes that can die, and the systems around them.

The handlers, the composition root, boto3 and the stores are the real ones. Only the state machines
are simulated, so a run takes milliseconds. Each process counts its calls.
"""

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.retries import standard

from functions.close_run.handler import lambda_handler as close_run
from functions.request_input.handler import lambda_handler as request_input
from functions.run_step.handler import lambda_handler as run_step
from functions.sweep.handler import lambda_handler as sweep
from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service import container, event_loops, settings
from runyard_service.adapters import history_cache
from runyard_service.adapters.aws_session import session_lock
from runyard_service.adapters.stores import Stores
from runyard_service.agents.lambda_client import lambda_client
from runyard_service.application.steps import retries
from tests.crashes.own_agent import OwnAgent
from tests.fault_injection.faults import Process
from tests.fault_injection.intercept import intercept_calls
from tests.support.servers.desk_mcp_server import DeskMcpServer
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.payment_server import FakePaymentServer
from tests.support.servers.step_functions_server import step_functions_server
from tests.support.state_machines import StateMachines, arn_of

# The functions that a state machine, a rule or a schedule invokes.
HANDLERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "run_step": run_step,
    "request_input": request_input,
    "close_run": close_run,
    "sweep": sweep,
}
# The use cases of these functions; the others have the name of their function.
USE_CASES = {"run_step": "advance_run", "sweep": "sweep_runs"}
LARGE = "x" * 120_000
LAMBDA_CONTEXT = SimpleNamespace(
    function_name="crashes",
    memory_limit_in_mb="512",
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:crashes",
    aws_request_id="request",
    get_remaining_time_in_millis=lambda: 700_000,
)


def today() -> str:
    """Return the result of the Python tool."""
    return "Tuesday"


class ToolServer(FakePaymentServer):
    """The server of all tools: it records only charges, and also returns documents.

    It also has the MCP server, and the function of the agent of kind `code`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mcp = DeskMcpServer()
        self.own_agent = OwnAgent(self.charge)

    @property
    def charges(self) -> Counter[str]:
        """Return the number of charges by idempotency key, with those of the MCP server."""
        return super().charges + self.mcp.effects

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Charge a refund, call an MCP tool, invoke the function, or return a document."""
        if self.own_agent.accepts(request):
            self.own_agent(request, exchange)
        elif request.path == "/refunds":
            super().__call__(request, exchange)
        elif request.path == "/mcp":
            self.mcp(request, exchange)
        elif request.path.startswith("/documents/"):
            exchange.send(200, LARGE.encode())
        else:
            exchange.send_json(200, {"status": "done"})


@dataclass
class CrashHarness:
    """The state machines, the payment server, and the processes that run the functions."""

    stores: Stores
    """The stores without a process: their calls are not counted."""
    s3: Any
    bucket: str
    state_machines: StateMachines = field(default_factory=StateMachines)
    payment_server: ToolServer = field(default_factory=ToolServer)
    short_invocations: int = 0
    """The number of next invocations of run_step that have no time for a step."""
    _active: Process | None = None
    _own: threading.local = field(default_factory=threading.local)

    def current_process(self) -> Process | None:
        """Return the process that makes the calls: that of this thread, or the active process."""
        return getattr(self._own, "process", None) or self._active

    @contextmanager
    def run_as(self, process: Process, *, concurrent: bool = False) -> Iterator[None]:
        """Run the block as the process; `concurrent`: another process runs at the same time."""
        # Each function is a process of its own, without the data that others have cached.
        clear_stores()
        before = self._active
        if concurrent:
            self._own.process = process
        else:
            self._active = process
        try:
            yield
        finally:
            if concurrent:
                self._own.process = None
            else:
                self._active = before
            if process.is_dead:
                discard_process()

    def invoke(self, function: str, payload: Mapping[str, Any]) -> Any:
        """Invoke the function in the active process."""
        context: Any = LAMBDA_CONTEXT
        if function == "run_step" and self.short_invocations:
            self.short_invocations -= 1
            context = SimpleNamespace(
                **{**vars(LAMBDA_CONTEXT), "get_remaining_time_in_millis": lambda: 1000}
            )
        result = HANDLERS[function](json.loads(json.dumps(payload)), context)
        return json.loads(json.dumps(result))


def clear_stores() -> None:
    """Clear what a process has read and cached."""
    container.container.cache_clear()


def discard_process() -> None:
    """Discard the memory of a process, and its event loop with all tasks."""
    clear_stores()
    loop = event_loops._loops.__dict__.pop("loop", None)
    if loop is None:
        return
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(_drain())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


async def _drain() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def open_harness(stack: DevStack) -> Iterator[CrashHarness]:
    """Yield a harness on the stack's DynamoDB and S3; set the environment of this process."""
    names = stack.environment
    harness = CrashHarness(stores_of(names), stack.client("s3"), names["BUCKET"])
    with ExitStack() as undo:
        step_functions = undo.enter_context(step_functions_server(harness.state_machines))
        payments = undo.enter_context(LoopbackServer(harness.payment_server))
        patch = undo.enter_context(pytest.MonkeyPatch.context())
        for name, value in (names | _environment(step_functions, payments)).items():
            if os.environ.get(name) != value:
                patch.setenv(name, value)
        # Retries of boto3 and of the step follow without a delay.
        patch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0)
        patch.setattr(retries, "_FIRST_DELAY_SECONDS", 0)
        # A run of the scenarios is short, and needs a checkpoint whose write can be lost.
        patch.setattr(history_cache, "CHECKPOINT_EVERY_EVENTS", 5)
        undo.callback(_clear_all)
        _clear_all()
        undo.enter_context(intercept_calls(harness.current_process))
        patch.setattr(container, "session_lock", _cached_clients())
        yield harness


def _cached_clients() -> Callable[[], AbstractContextManager[Any]]:
    """Share the clients between processes, which have new stores: a client costs 50 ms."""
    clients: dict[str, Any] = {}

    def client(service: str, **options: Any) -> Any:
        if service not in clients:
            with session_lock() as session:
                any_session: Any = session
                clients[service] = any_session.client(service, **options)
        return clients[service]

    return lambda: nullcontext(SimpleNamespace(client=client))


def _clear_all() -> None:
    discard_process()
    # A cached client would call the payment server of another harness.
    lambda_client.cache_clear()
    settings.settings.cache_clear()


def _environment(step_functions: LoopbackServer, payments: LoopbackServer) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_SFN": step_functions.url,
        "AWS_ENDPOINT_URL_LAMBDA": payments.url,
        "RUN_STATE_MACHINE_ARN": arn_of("run"),
        "RESUME_STATE_MACHINE_ARN": arn_of("resume"),
        "AGENT_VARIABLES": json.dumps({"CRM_URL": payments.url}),
        "HTTP_ALLOWED_PRIVATE_HOSTS": payments.host_and_port,
        "DELTA_FLUSH_MS": "0",
        "STEP_RESERVE_SECONDS": "1",
    }
