"""Test crashes around a compaction: the requests that the provider receives are byte-identical."""

from contextlib import suppress
from itertools import groupby

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.stores import Stores
from tests.crashes.crash_harness import discard_process
from tests.fault_injection.faults import EDGES, Fault, Process, ProcessKilledError
from tests.fault_injection.intercept import intercept_calls
from tests.support import provider_runs
from tests.support.long_conversations import Records, agent_at
from tests.support.run_factory import create_run
from tests.support.servers.window_server import WindowServer


def test_requests_after_a_crash_are_equal_to_the_byte(stack: DevStack) -> None:
    active: list[Process] = []
    with (
        WindowServer(9, 3_000) as server,
        Records() as records,
        intercept_calls(lambda: active[0] if active else None),
    ):
        crashes = _Crashes(stores_of(stack.environment), server, records, active)
        process, undisturbed = crashes.run(None)
        names = [call.name for call in process.calls]
        first = names.index("dynamodb.PutItem agent.context.compacted")
        for call in process.calls[first - 4 : first + 5]:
            for edge in EDGES:
                killed, bodies = crashes.run(Fault(call.name, edge, "kill", call.occurrence))
                assert killed.fault_occurred
                assert [body for body, _ in groupby(bodies)] == undisturbed, (call.name, edge)


class _Crashes:
    """Runs of one agent whose first worker dies at a call."""

    def __init__(
        self, stores: Stores, server: WindowServer, records: Records, active: list[Process]
    ) -> None:
        self._stores = stores
        self._agent = agent_at(server, window=server.window, max_output_tokens=100)
        self._server = server
        self._records = records
        self._active = active

    def run(self, fault: Fault | None) -> tuple[Process, list[bytes]]:
        """Run to the end. Return the first process, and the bodies that the provider received."""
        self._server.received.clear()
        run = create_run(self._stores, self._agent)
        process = Process(fault)
        self._active[:] = [process]
        with suppress(ProcessKilledError):
            provider_runs.advance(self._stores, run, self._records)
        self._active.clear()
        if process.is_dead:
            discard_process()
            provider_runs.advance(self._stores, run, self._records)
        found = self._stores.runs.get(run.id)
        assert found is not None
        assert (found.status, found.usage.steps) == ("completed", self._server.steps)
        return process, [received.body for received in self._server.received]
