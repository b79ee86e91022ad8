"""Where the runs of the crash tests live: processes that can die, and the systems around them.

The handlers, the composition root, boto3 and the stores are the real ones. Only the state machines
are in hand, so that a run takes milliseconds, and each process counts what it calls.
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
from runyard_service.agents.tools import aws_lambda
from runyard_service.application.steps import retries
from tests.crashes.state_machine import StateMachines, arn_of
from tests.crashes.step_functions import step_functions
from tests.fault_injection.faults import Process
from tests.fault_injection.intercept import intercept_calls
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

# The function of each verb that the state machine, a rule or a schedule invokes.
HANDLERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "run_step": run_step,
    "request_input": request_input,
    "close_run": close_run,
    "sweep": sweep,
}
VERBS = {"run_step": "advance_run", "sweep": "sweep_runs"}
LARGE = "x" * 120_000
LAMBDA_CONTEXT = SimpleNamespace(
    function_name="crashes",
    memory_limit_in_mb="512",
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:crashes",
    aws_request_id="request",
    get_remaining_time_in_millis=lambda: 700_000,
)


def today() -> str:
    """What the python tool gives."""
    return "Tuesday"


@dataclass
class FakePaymentServer:
    """The systems that tools call: what was charged or noted, by idempotency key.

    `during_charge` is done in the middle of the next charge.
    """

    charges: Counter[str] = field(default_factory=Counter)
    during_charge: Callable[[], None] | None = None

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Take the call."""
        if request.path == "/refunds":
            if self.during_charge:
                act, self.during_charge = self.during_charge, None
                act()
            self.charges[request.headers["idempotency-key"]] += 1
        if request.path.startswith("/documents/"):
            exchange.send(200, LARGE.encode())
        else:
            exchange.send_json(200, {"status": "done"})


@dataclass
class CrashHarness:
    """One state machine, one till, and the processes that work on runs."""

    stores: Stores
    """Spoken to without a process in between: what it reads is nobody's call."""
    s3: Any
    bucket: str
    machine: StateMachines = field(default_factory=StateMachines)
    till: FakePaymentServer = field(default_factory=FakePaymentServer)
    short_turns: int = 0
    """So many of the next invocations of run_step have no time for a step."""
    _at_work: Process | None = None
    _here: threading.local = field(default_factory=threading.local)

    def present(self) -> Process | None:
        """Whose calls are made now: this thread's own process, or the one at work."""
        return getattr(self._here, "process", None) or self._at_work

    @contextmanager
    def working(self, process: Process, *, concurrent: bool = False) -> Iterator[None]:
        """Run the block as the process; `concurrent`: another process runs in this thread."""
        # Each function is a process of its own, and knows nothing of what others have read.
        forget_stores()
        before = self._at_work
        if concurrent:
            self._here.process = process
        else:
            self._at_work = process
        try:
            yield
        finally:
            if concurrent:
                self._here.process = None
            else:
                self._at_work = before
            if process.is_dead:
                forget_process()

    def invoke(self, function: str, payload: Mapping[str, Any]) -> Any:
        """One invocation in the process that is at work."""
        context: Any = LAMBDA_CONTEXT
        if function == "run_step" and self.short_turns:
            self.short_turns -= 1
            context = SimpleNamespace(
                **{**vars(LAMBDA_CONTEXT), "get_remaining_time_in_millis": lambda: 1000}
            )
        result = HANDLERS[function](json.loads(json.dumps(payload)), context)
        return json.loads(json.dumps(result))


def forget_stores() -> None:
    """What a process has read and keeps."""
    container.container.cache_clear()


def forget_process() -> None:
    """What a process keeps dies with it, and the loop with all that it runs."""
    forget_stores()
    loop = event_loops._loops.__dict__.pop("loop", None)
    if loop is None:
        return
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(_drained())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


async def _drained() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def open_harness(stack: DevStack) -> Iterator[CrashHarness]:
    """A world on the stack's DynamoDB and S3, with this process's environment set for it."""
    names = stack.environment
    world = CrashHarness(stores_of(names), stack.client("s3"), names["BUCKET"])
    with ExitStack() as undo:
        machine = undo.enter_context(step_functions(world.machine))
        till = undo.enter_context(LoopbackServer(world.till))
        patch = undo.enter_context(pytest.MonkeyPatch.context())
        for name, value in (names | _own_environment(machine, till)).items():
            if os.environ.get(name) != value:
                patch.setenv(name, value)
        # Nobody waits here: not boto3 between its attempts, and not the step for its provider.
        patch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0)
        patch.setattr(retries, "_FIRST_DELAY_SECONDS", 0)
        # A checkpoint after every few events, so that there is one to be lost.
        patch.setattr(history_cache, "CHECKPOINT_EVERY_EVENTS", 5)
        undo.callback(_forget_all)
        _forget_all()
        undo.enter_context(intercept_calls(world.present))
        patch.setattr(container, "session_lock", _one_client_each())
        yield world


def _one_client_each() -> Callable[[], AbstractContextManager[Any]]:
    """A new process has new stores and empty caches; the same clients save it 50 ms."""
    clients: dict[str, Any] = {}

    def client(service: str, **options: Any) -> Any:
        if service not in clients:
            with session_lock() as session:
                any_session: Any = session
                clients[service] = any_session.client(service, **options)
        return clients[service]

    return lambda: nullcontext(SimpleNamespace(client=client))


def _forget_all() -> None:
    forget_process()
    # Its clients speak to the till of another world.
    aws_lambda._client.cache_clear()
    settings.settings.cache_clear()


def _own_environment(machine: LoopbackServer, till: LoopbackServer) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_SFN": machine.url,
        "AWS_ENDPOINT_URL_LAMBDA": till.url,
        "RUN_STATE_MACHINE_ARN": arn_of("run"),
        "RESUME_STATE_MACHINE_ARN": arn_of("resume"),
        "AGENT_VARIABLES": json.dumps({"CRM_URL": till.url}),
        "HTTP_ALLOWED_PRIVATE_HOSTS": till.host_and_port,
        "DELTA_FLUSH_MS": "0",
        "STEP_RESERVE_SECONDS": "1",
    }
