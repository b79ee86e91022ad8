"""The local stack as a separate process, as `make dev` starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def make_dev(folder: Path, port: int, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `make dev` with the agents of `folder/agents`, and the data in `folder/data`."""
    variables = os.environ | {
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),
        "AGENTS_DIR": str(folder / "agents"),
        **environment,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "runyard", "dev"],
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            for line in process.stdout:
                if line.startswith("ready"):
                    break
            assert process.poll() is None, "the stack did not start"
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
