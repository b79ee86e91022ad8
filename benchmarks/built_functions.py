"""A function as it was built, started as AWS's own runtime emulator starts it (no Docker).

The build in `.aws-sam/build` is for arm64. So `make build/here/.installed` installs the layers of
dependencies for this machine, from the same lock files. Code and core layer are the built ones.
The emulator comes with aws-sam-cli and executes one request at a time.
"""

import json
import os
import platform
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runyard_dev.processes.process import free_ports
from runyard_dev.template.cloudformation import load_document
from runyard_dev.template.template import Function, read_template

BUILD = Path(".aws-sam/build")
HERE = Path("build/here")
_READY_SECONDS = 30
# Another process may take a free port before this process listens on it.
_ATTEMPTS = 3
_LISTEN = "0A"  # The state of a socket in /proc/net/tcp.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class FunctionFailedError(Exception):
    """The emulator or the function in it did not come up."""


@dataclass(frozen=True)
class Invocation:
    """What came back, and the seconds from the request to the answer."""

    payload: Any
    seconds: float


@dataclass(frozen=True)
class BuiltFunction:
    """A running function; its first invocation is a cold start."""

    url: str
    process: int
    """The emulator's, with the function's own below it; the server's, where there is none."""

    def invoke(self, event: Mapping[str, Any]) -> Invocation:
        """One event and its answer, which for a failure is what Lambda would report."""
        request = urllib.request.Request(
            f"{self.url}/2015-03-31/functions/function/invocations", json.dumps(event).encode()
        )
        started = time.perf_counter()
        with _opener.open(request, timeout=60) as answer:
            body = answer.read()
        return Invocation(json.loads(body or b"null"), time.perf_counter() - started)


def lacking() -> str:
    """Which command has to be run first; empty where all is there."""
    if not (BUILD / "template.yaml").exists():
        return "make build"
    return "" if (HERE / ".installed").exists() else "make build/here/.installed"


def functions(parameters: Mapping[str, str] | None = None) -> dict[str, Function]:
    """The functions of the built template, by their folder's name in `functions/`.

    With these parameters; the others are as they are by default.
    """
    names = {
        logical_id: "".join(f"_{c.lower()}" if c.isupper() else c for c in logical_id)
        for logical_id in read_template(Path("template.yaml")).functions
    }
    built = read_template(BUILD / "template.yaml", parameters=parameters).functions
    return {
        name.strip("_").removesuffix("_function"): built[logical_id]
        for logical_id, name in names.items()
    }


def variables_of(function: Function, stack: Mapping[str, str]) -> dict[str, str]:
    """The function's own variables and no others, and the way to a stack's emulators."""
    ways = {name: value for name, value in stack.items() if name.startswith("AWS_")}
    found = function.environment | ways
    for name in ("AGENTS_DIR", "AGENT_VARIABLES", "HTTP_ALLOWED_PRIVATE_HOSTS"):
        if name in function.environment:
            found[name] = stack[name]
    return found


@contextmanager
def started(function: Function, variables: Mapping[str, str]) -> Iterator[BuiltFunction]:
    """Return the function in the runtime emulator, which loads it at the first invocation."""

    def start(port: int, runtime_port: int) -> "subprocess.Popen[bytes]":
        command = [
            str(_emulator()),
            *("--log-level", "error"),
            *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *(str(python()), "-m", "awslambdaric", function.handler),
        ]
        return _launch(function, command, _environment(function, variables))

    with _listening(start) as running:
        yield running


def _launch(
    function: Function, command: Sequence[str], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=function.code_dir,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def _listening(
    start: Callable[[int, int], "subprocess.Popen[bytes]"],
) -> Iterator[BuiltFunction]:
    """What `start` starts, once it listens on the first of two free ports."""
    for attempt in range(_ATTEMPTS):
        port, other = free_ports(2)
        with start(port, other) as process:
            try:
                if not _comes_up(port, process):
                    if attempt + 1 < _ATTEMPTS:
                        continue
                    raise FunctionFailedError(f"what was started does not listen on port {port}")
                yield BuiltFunction(f"http://127.0.0.1:{port}", process.pid)
                return
            finally:
                # The runtime is the emulator's child, and would outlive it.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _environment(function: Function, variables: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": import_path(function),
        "LAMBDA_TASK_ROOT": str(function.code_dir.absolute()),
        # Lambda's folders are read-only: what was not compiled at the build is compiled each time.
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout_seconds),
        # There is no daemon of X-Ray here.
        "POWERTOOLS_TRACE_DISABLED": "true",
        **variables,
    }


def import_path(function: Function) -> str:
    """PYTHONPATH with the function's layers and the runtime, as Lambda has them."""
    path = [*map(_folder_of, layers_of(function)), HERE / "runtime"]
    return os.pathsep.join(str(each.absolute()) for each in path)


def layers_of(function: Function) -> list[str]:
    """The logical ids of the layers that are built for the function."""
    built = load_document(BUILD / "template.yaml")["Resources"]
    layers = built[function.logical_id]["Properties"]["Layers"]
    # What is not ours has an address; the agents' files are read as they are.
    return [layer["Ref"] for layer in layers if "Ref" in layer and (BUILD / layer["Ref"]).exists()]


def _folder_of(layer: str) -> Path:
    here = HERE / layer / "python"
    return here if here.exists() else BUILD / layer / "python"


def _emulator() -> Path:
    kind = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    [found] = Path(".venv-sam/lib").glob(f"python3*/site-packages/samcli/local/rapid/*-{kind}")
    return found.absolute()


def python() -> Path:
    """The Python 3.13 that the functions run on here."""
    return Path((HERE / ".installed").read_text(encoding="utf-8").strip())


def _comes_up(port: int, process: "subprocess.Popen[bytes]") -> bool:
    until = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < until:
        if listens(process.pid, port) and _answers(port):
            return True
        time.sleep(0.01)
    return False


def listens(process: int, port: int) -> bool:
    """Whether it is this process that listens on the port, by what Linux says of its sockets.

    The port was free a moment ago: anybody may have been given it since, and would answer too.
    """
    sockets = set[str]()
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    with suppress(OSError):  # It may end, or close a file, while it is looked at.
        return any(os.readlink(file) in sockets for file in Path(f"/proc/{process}/fd").iterdir())
    return False


def _answers(port: int) -> bool:
    try:
        _opener.open(f"http://127.0.0.1:{port}/", timeout=5).close()
    except urllib.error.HTTPError:
        return True  # It knows no such path, and so it is there.
    except OSError:
        return False
    return True


@contextmanager
def started_stream(function: Function, variables: Mapping[str, str]) -> Iterator[BuiltFunction]:
    """A function that its own run.sh starts: a server, here without the adapter before it."""

    def start(port: int, _: int) -> "subprocess.Popen[bytes]":
        environment = {
            **_environment(function, variables),
            "AWS_LWA_PORT": str(port),
            "LAYERS_DIR": str((BUILD / "CoreLayer").absolute()),
            "LAMBDA_RUNTIME_DIR": str((HERE / "runtime").absolute()),
            "PATH": f"{python().parent}:{os.environ['PATH']}",
        }
        return _launch(
            function, [str(function.code_dir.absolute() / function.handler)], environment
        )

    with _listening(start) as running:
        yield running
