"""What a handler's import leaves in memory may be copied: a snapshot of it starts many processes.

So importing draws nothing random, reads no clock and opens no connection: every copy would have the
same. What Python itself draws (the seed of `random`) is drawn again when a copy starts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.template.repository import ROOT, told_by_a_new_process

FUNCTIONS = sorted(handler.parent.name for handler in (ROOT / "functions").glob("*/handler.py"))

# Runs in a process of its own. Only our own lines are watched: what the standard library does to
# itself at import is its own affair.
WATCHED = """
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

for each in gc.get_objects():
    # An event loop's own pipe stays in the process.
    if isinstance(each, socket.socket) and each.family != socket.AF_UNIX and each.fileno() >= 0:
        found.append("an open socket")
    elif any(kind.__name__ == "BaseClient" for kind in type(each).__mro__):
        found.append("an AWS client")

import random, snapshot_restore_py
seeds = [hook for hook, _, _ in snapshot_restore_py.get_after_restore()]
told = {"reseeds": random.seed in seeds, "preloaded": "pydantic_ai.models.openai" in sys.modules}
print(json.dumps({"found": found, **told}))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_import_leaves_nothing_that_must_not_be_copied(function: str) -> None:
    told = imported(function)
    assert told["found"] == []


def test_models_that_are_imported_at_the_start_leave_nothing_either() -> None:
    told = imported("run_step", {"PRELOAD_PROVIDERS": "openai"})
    assert told["found"] == []
    assert told["preloaded"]


def test_the_runner_draws_a_seed_of_its_own_after_a_snapshot() -> None:
    assert imported("run_step")["reseeds"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("import time; time.time()", "time at"),
        ("import os; os.urandom(4)", "urandom at"),
        ("import boto3; client = boto3.client('s3')", "an AWS client"),
        ("import socket; kept = socket.socket()", "an open socket"),
    ],
)
def test_what_must_not_be_copied_is_found(line: str, told: str, tmp_path: Path) -> None:
    folder = tmp_path / "functions" / "faulty"
    folder.mkdir(parents=True)
    (folder / "handler.py").write_text(line + "\n", encoding="utf-8")
    found = imported(str(folder))["found"]
    assert any(told in each for each in found)


def imported(function: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the watch tells of importing this function's handler."""
    told: dict[str, Any] = told_by_a_new_process(WATCHED, function, variables)
    return told
