"""Measure the MCP client: processor time for each call, and its import; the goals are 5 and 10 ms.

The server is the sample server in another process. Each call checks its structured result against
the output schema. The processor time is that of this process, and includes the operating system's
part for sockets. The import is measured in new processes that have loaded what `http` tools use,
with byte code as the layers have it.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from runyard_dev.processes.process import free_ports
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.mcp.base import McpEnvironment
from runyard_service.agents.mcp.client import call_tool, list_tools
from runyard_service.agents.tools.base import ToolError
from runyard_service.outbound.circuit_breaker import CircuitBreakers

CALLS, ROUNDS, IMPORTS = 100, 5, 7
CALL_GOAL_MS, IMPORT_GOAL_MS = 5, 10
_IMPORT = """\
import time
import runyard_service.agents.tools.http
import runyard_service.agents.definitions.models
started = time.process_time()
import runyard_service.agents.mcp.client
print((time.process_time() - started) * 1000)
"""


def main() -> int:
    """Print the results. Return 1 if one is over its goal."""
    with _sample_server() as host_and_port:
        rounds = sorted(asyncio.run(_measure(host_and_port)) for _ in range(ROUNDS))
    total, system = rounds[len(rounds) // 2]
    import_ms = _import_milliseconds()
    print(f"call: {total:.1f} ms, of which system {system:.1f} ms; goal {CALL_GOAL_MS} ms")
    print(f"import: {import_ms:.1f} ms; goal {IMPORT_GOAL_MS} ms")
    return int(total > CALL_GOAL_MS or import_ms > IMPORT_GOAL_MS)


async def _measure(host_and_port: str) -> tuple[float, float]:
    """Return the processor time for each call in milliseconds: all of it, and the system's part."""
    environment = McpEnvironment({}, (host_and_port,), CircuitBreakers(), str)
    server = McpServer(url=f"http://{host_and_port}/mcp")
    listed = await list_tools("shop", server, environment)
    (tool,) = (tool for tool in listed.tools if tool.name == "find_orders")
    before = os.times()
    for _ in range(CALLS):
        await call_tool(
            "shop", server, tool, {"customer_id": "1"}, environment, protocol=listed.protocol
        )
    after = os.times()
    user, system = after.user - before.user, after.system - before.system
    return (user + system) * 1000 / CALLS, system * 1000 / CALLS


@contextmanager
def _sample_server() -> Iterator[str]:
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "runyard_dev.samples.services", "--port", str(port))
    with subprocess.Popen(command) as process:
        try:
            _wait_for(f"127.0.0.1:{port}")
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _wait_for(host_and_port: str) -> None:
    for _ in range(100):
        try:
            asyncio.run(_measure(host_and_port))
        except ToolError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The sample server does not answer.")


def _import_milliseconds() -> float:
    """Return the median of several imports, after one that writes the byte code."""
    command = (sys.executable, "-c", _IMPORT)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        times = [
            float(subprocess.check_output(command, env=environment)) for _ in range(IMPORTS + 1)
        ]
    return statistics.median(times[1:])


if __name__ == "__main__":
    sys.exit(main())
