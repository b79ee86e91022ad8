"""Start servers of the official MCP packages, each in a process of its own."""

import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.wait_until import wait_until

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv-mcp/bin/python"
PEERS = ROOT / "tests/mcp_peers"
NODE_MODULES = PEERS / "typescript/node_modules"


def missing_python() -> str:
    """Return what to install before a Python server can run, or an empty string."""
    return "" if PYTHON.exists() else "needs the official package: make .venv-mcp/.installed"


def missing_typescript() -> str:
    """Return what to install before a TypeScript server can run, or an empty string."""
    if not shutil.which("node"):
        return "needs Node 20 or newer and npm, then make test"
    target = NODE_MODULES.relative_to(ROOT) / ".installed"
    return "" if NODE_MODULES.is_dir() else f"needs its packages: make {target}"


@contextmanager
def python_server(*options: str) -> Iterator[str]:
    """Run the Python server and yield the URL of its endpoint."""
    port = free_port()
    command = [str(PYTHON), str(PEERS / "python_server.py"), "--port", str(port), *options]
    with _running(command, port) as url:
        yield url


@contextmanager
def typescript_server(name: str, issuer: str = "") -> Iterator[str]:
    """Run the TypeScript server `sessions` or `stateless` and yield the URL of its endpoint.

    With `issuer` it accepts only tokens of this authorization server.
    """
    port = free_port()
    command = ["node", str(PEERS / f"typescript/{name}.mjs"), str(port), *filter(None, [issuer])]
    with _running(command, port) as url:
        yield url


@contextmanager
def peer(name: str, issuer: str = "") -> Iterator[str]:
    """Run the server `python`, `typescript-sessions` or `typescript-stateless`; yield its URL.

    Skip the test if the server is not installed. With `issuer` it accepts only tokens of this
    authorization server.
    """
    if missing := missing_python() if name == "python" else missing_typescript():
        pytest.skip(missing)
    if name == "python":
        started = python_server(*(["--issuer", issuer] if issuer else []))
    else:
        started = typescript_server(name.removeprefix("typescript-"), issuer)
    with started as url:
        yield url


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[str]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: process.poll() is not None or _is_open(port))
            assert process.poll() is None, f"{command[1]} ended by itself"
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
