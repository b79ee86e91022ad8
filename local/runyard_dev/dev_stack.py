"""The local stack as a whole: start, provision, monitor and stop its processes.

`make dev` and the tests use this class. Data that was acknowledged survives if any process, or the
supervisor itself, is killed.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import runyard_service
from runyard_dev import access_key, provisioning, stack_plan
from runyard_dev.clients import client
from runyard_dev.data_dir import lock, write_state, write_url
from runyard_dev.emulators import requeue_deliveries
from runyard_dev.emulators.event_sources import EventSources
from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.emulators.stream_source import StreamCheckpoints
from runyard_dev.errors import InvocationFailedError, LocalStackError
from runyard_dev.processes.process import ManagedProcess, port_is_taken
from runyard_dev.processes.process_monitor import ProcessMonitor

_CLONE = Path(__file__).resolve().parents[2]
_IN_WHEEL = Path(runyard_service.__file__).parent / "stack"
# The folder of template.yaml, with the functions, state machines and sample agents next to it.
REPOSITORY = _CLONE if (_CLONE / "template.yaml").exists() else _IN_WHEEL
SWEEP_FUNCTION = "SweepFunction"
SWEEP_SECONDS = 30.0
CHECKPOINTS_FILE = "streams.json"


class DevStack:
    """A running stack and context manager: leaving the context stops all processes."""

    def __init__(
        self,
        plan: stack_plan.StackPlan,
        data_dir: Path,
        key: str | None,
        report: Callable[[str], None],
    ) -> None:
        """Store the plan. Use `start` to get a stack."""
        self.environment: dict[str, str] = plan.environment
        """Variables for boto3 clients and `Settings.from_environment`."""
        self.base_url = f"http://{HOST}:{plan.port}"
        self.access_key = key or ""
        """The access key that the stack accepts; empty if the stack has none."""
        self.logs = data_dir / "logs"
        """The folder of the log files, one for each process."""
        self._plan = plan
        self._data_dir = data_dir
        self._report = report
        self._clients: dict[str, Any] = {}
        self._lock_file: IO[str] | None = None
        self._keeper = ProcessMonitor(list(plan.parts.values()), self._reprovision, report)
        self._sweeper: threading.Thread | None = None
        self._has_sources = False
        self._sources: EventSources | None = None

    @classmethod
    def start(
        cls,
        *,
        data_dir: Path,
        port: int = 0,
        agents_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        web: bool = True,
        seed: bool = True,
        key: str | None = None,
        sweep_seconds: float | None = SWEEP_SECONDS,
        event_sources: bool = True,
        repository: Path = REPOSITORY,
        report: Callable[[str], None] = lambda _: None,
    ) -> "DevStack":
        """Start a stack and return when it is ready.

        `environment` is added to the environment of this process. Port 0 selects a free port.
        Without `key`, the stack has the key that is saved in the data folder.
        Without `sweep_seconds`, open runs stay as they are. Without `event_sources`, no function
        receives stream records or queue messages. Raises `LocalStackError`.
        """
        data_dir, repository = Path(data_dir).absolute(), Path(repository).absolute()
        if web and port and port_is_taken(port):
            raise LocalStackError(
                f"port {port} is taken; choose another with --port, or with PORT=…"
            )
        site = stack_plan.StackConfig(
            repository=repository,
            data_dir=data_dir,
            agents_dir=Path(agents_dir or repository / "agents").absolute(),
            port=port,
            user={**os.environ, **(environment or {})},
            web=web,
        )
        with ExitStack() as undo:
            lock_file = undo.enter_context(lock(data_dir))
            plan = stack_plan.plan(site, report)
            if seed:
                key = access_key.choose_access_key(data_dir, key)
            stack = cls(plan, data_dir, key if seed else None, report)
            undo.callback(stack.stop)
            stack._has_sources = event_sources and sweep_seconds is not None
            stack._bring_up(sweep_seconds)
            undo.pop_all()
            stack._lock_file = lock_file
        return stack

    def __enter__(self) -> "DevStack":
        """Return the stack."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all processes."""
        self.stop()

    def client(self, service: str) -> Any:
        """Return a boto3 client of this stack. Threads can share it."""
        if service not in self._clients:
            self._clients[service] = client(service, self.environment)
        return self._clients[service]

    def pid(self, part: str) -> int:
        """Return the process id of a running process of the stack."""
        process = self._plan.parts[part].process
        if process is None:
            raise LocalStackError(f"{part} does not run")
        return process.pid

    def port(self, part: str) -> int:
        """Return the port of a process of the stack."""
        return self._plan.parts[part].port

    def kill(self, part: str) -> None:
        """Kill a process with SIGKILL and do not restart it."""
        self._keeper.stop_process(self._plan.parts[part], ManagedProcess.kill)

    def restart(self, part: str) -> None:
        """Restart a process, or start it if it is down, and return when it is ready."""
        self._keeper.stop_process(self._plan.parts[part], ManagedProcess.stop)
        self._keeper.start_process(self._plan.parts[part])

    def sweep(self, payload: Mapping[str, Any] | None = None) -> Any:
        """Invoke the sweep, as EventBridge's schedule does on AWS. Return None if there is none."""
        function = self._plan.template.functions.get(SWEEP_FUNCTION)
        return function and provisioning.invoke(self.environment, function.name, payload or {})

    def wait(self) -> None:
        """Block until the stack cannot continue, then raise `LocalStackError`."""
        self._keeper.failed.wait()
        raise LocalStackError(self._keeper.failure)

    def stop(self) -> None:
        """Stop all processes in the reverse order of their start. Safe to call twice."""
        if self._sources:
            self._sources.stop()
        self._keeper.stop_all()
        if self._sweeper:
            self._sweeper.join(timeout=1)
        if self._lock_file:
            self._lock_file.close()

    # --- start -------------------------------------------------------------------------------

    def _bring_up(self, sweep_seconds: float | None) -> None:
        parts = self._plan.parts
        started = time.monotonic()
        for part in parts.values():
            if part.name != stack_plan.WEB:
                self._keeper.spawn(part)
        with ThreadPoolExecutor(len(parts), thread_name_prefix="start") as pool:
            rest = [
                pool.submit(self._await, parts[name], started)
                for name in (stack_plan.LAMBDA, stack_plan.SAMPLES)
            ]
            _all([pool.submit(self._fill_dynamodb, started), pool.submit(self._fill_aws, started)])
            # The web server starts last: when it is ready, tables, key and state machine exist.
            if web := parts.get(stack_plan.WEB):
                self._keeper.spawn(web)
                rest.append(pool.submit(self._await, web, started))
            _all(rest)
        self._keeper.watch()
        write_state(self._data_dir, self.environment)
        if stack_plan.WEB in parts:
            write_url(self._data_dir, self.base_url)
        if self._has_sources and (mappings := self._plan.template.event_sources):
            requeue_deliveries.requeue_pending(self.environment)
            checkpoints = StreamCheckpoints(self._data_dir / CHECKPOINTS_FILE)
            self._sources = EventSources(mappings, self.environment, checkpoints, self._report)
            self._sources.start()
        if sweep_seconds is None:
            return
        self._sweep_quietly({"everything": True})
        self._sweeper = threading.Thread(
            target=self._sweep_now_and_then, args=(sweep_seconds,), name="sweeper", daemon=True
        )
        self._sweeper.start()

    def _fill_dynamodb(self, started: float) -> None:
        if part := self._plan.parts.get(stack_plan.DYNAMODB):
            self._await(part, started)
        self._provision_dynamodb()

    def _fill_aws(self, started: float) -> None:
        self._await(self._plan.parts[stack_plan.AWS], started)
        self._provision_aws()

    def _provision_dynamodb(self) -> None:
        template = self._plan.template
        provisioning.create_tables(
            template if self._has_sources else template.without_streams(), self.environment
        )
        if self.access_key:
            access_key.store_access_key(self.access_key, self.environment)

    def _provision_aws(self) -> None:
        template, environment = self._plan.template, self.environment
        provisioning.create_buckets(template, environment)
        provisioning.create_secrets(template, environment, self._data_dir / "secrets")
        provisioning.create_queues(template, environment)
        provisioning.create_buses(template, environment)
        provisioning.create_state_machines(template, environment)

    def _await(self, part: ManagedProcess, started: float) -> None:
        part.wait_ready(self._keeper.stopping)
        seconds = time.monotonic() - started
        self._report(f"{part.name:<10}{part.description} … ready in {seconds:.1f} s")

    # --- while it runs -----------------------------------------------------------------------

    def _reprovision(self, part: ManagedProcess) -> None:
        """Restore what a restarted process has lost."""
        if part.name == stack_plan.AWS:
            self._provision_aws()
            # All executions are lost: the sweep restarts those of the open runs.
            self._sweep_quietly({"everything": True})
            if self._sources:
                requeue_deliveries.requeue_pending(self.environment)
        if part.name == stack_plan.DYNAMODB:
            self._provision_dynamodb()

    def _sweep_now_and_then(self, seconds: float) -> None:
        while not self._keeper.stopping.wait(seconds):
            self._sweep_quietly({})

    def _sweep_quietly(self, payload: Mapping[str, Any]) -> None:
        try:
            self.sweep(payload)
        except (InvocationFailedError, OSError) as exc:
            if not self._keeper.stopping.is_set():
                self._report(f"the sweep failed: {exc}")


def _all(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result()
