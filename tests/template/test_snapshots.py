"""The memory after a handler's import may be a snapshot from which many processes start.

Every copy has the same content, so an import must not create random values, read a clock or open a
connection. The runner seeds Python's own `random` again when a copy starts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.template.repository import ROOT, output_of_new_process

NATIVE = "runyard_service.agents.models.providers.native"
FUNCTIONS = sorted(handler.parent.name for handler in (ROOT / "functions").glob("*/handler.py"))

# Runs in its own process. It watches only calls from this project's code, and ignores calls of the
# standard library at its own import.
WATCH_IMPORT = """
import gc, json, socket, sys

found = []
CALLS = {"urandom", "getrandbits", "random", "time", "time_ns", "monotonic", "perf_counter"}
OWN = ("/layers/core/", "/functions/")

def watch(frame, event, called):
    if event == "c_call" and called.__name__ in CALLS:
        file = frame.f_code.co_filename
        if "/site-packages/" not in file and any(part in file for part in OWN):
            found.append(f"{called.__name__} at {file}:{frame.f_lineno}")

def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        found.append(event)

sys.addaudithook(audit)
sys.setprofile(watch)
import handler
sys.setprofile(None)

for item in gc.get_objects():
    # The pipe of an event loop stays in the process.
    if isinstance(item, socket.socket) and item.family != socket.AF_UNIX and item.fileno() >= 0:
        found.append("an open socket")
    elif any(kind.__name__ == "BaseClient" for kind in type(item).__mro__):
        found.append("an AWS client")

import random, snapshot_restore_py
seeds = [hook for hook, _, _ in snapshot_restore_py.get_after_restore()]
print(json.dumps({"found": found, "reseeds": random.seed in seeds, "modules": list(sys.modules)}))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_import_creates_nothing_that_must_not_be_copied(function: str) -> None:
    result = watch_import(function)
    assert result["found"] == []


@pytest.mark.parametrize(
    ("providers", "modules"),
    [
        ("openai", {"pydantic_ai.models.openai"}),
        ("google,mistral", {f"{NATIVE}.google", f"{NATIVE}.mistral"}),
    ],
)
def test_preloaded_model_libraries_create_nothing_that_must_not_be_copied(
    providers: str, modules: set[str]
) -> None:
    result = watch_import("run_step", {"PRELOAD_PROVIDERS": providers})
    assert result["found"] == []
    assert modules <= set(result["modules"])


def test_the_runner_seeds_random_after_a_snapshot() -> None:
    assert watch_import("run_step")["reseeds"]


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("import time; time.time()", "time at"),
        ("import os; os.urandom(4)", "urandom at"),
        ("import boto3; client = boto3.client('s3')", "an AWS client"),
        ("import socket; connection = socket.socket()", "an open socket"),
    ],
)
def test_the_watch_reports_values_that_must_not_be_copied(
    line: str, reported: str, tmp_path: Path
) -> None:
    folder = tmp_path / "functions" / "faulty"
    folder.mkdir(parents=True)
    (folder / "handler.py").write_text(line + "\n", encoding="utf-8")
    found = watch_import(str(folder))["found"]
    assert any(reported in entry for entry in found)


def watch_import(function: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the report of the watch about an import of the function's handler."""
    result: dict[str, Any] = output_of_new_process(WATCH_IMPORT, function, variables)
    return result
