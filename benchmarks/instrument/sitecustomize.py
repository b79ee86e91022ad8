"""Notes each call that a process of the local stack makes to an emulator, and each invocation.

Python imports this by itself where its folder is on PYTHONPATH: the code that is measured knows
nothing of it. A line of JSON per span goes to `BENCH_SPANS/<process id>.jsonl`; moments are seconds
of the monotonic clock, which all processes of a machine share. With `BENCH_UNITS` DynamoDB is also
asked for the units that each call has used, which costs time of its own.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def _install(folder: Path, *, units: bool) -> None:
    from botocore.httpsession import URLLib3Session

    file = (folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8", buffering=1)
    send = URLLib3Session.send

    def note(kind: str, started: float, ended: float, **more: Any) -> None:
        file.write(json.dumps({"kind": kind, "started": started, "ended": ended, **more}) + "\n")

    def noted(self: Any, request: Any) -> Any:
        kind = _text(request.headers.get("X-Amz-Target", "")) or request.url
        if units and kind.startswith("DynamoDB"):
            body = {**json.loads(request.body), "ReturnConsumedCapacity": "INDEXES"}
            request.body = json.dumps(body).encode()
            request.headers["Content-Length"] = str(len(request.body))
        started = time.monotonic()
        answer = send(self, request)
        ended = time.monotonic()
        used = _used(answer.content) if units and kind.startswith("DynamoDB") else []
        note(kind, started, ended, used=used)
        return answer

    setattr(URLLib3Session, "send", noted)  # noqa: B010 - to a type checker no variable
    if "runyard_dev.lambda_.endpoint" in sys.orig_argv:
        from runyard_dev.lambda_.runtime import Runtime

        run = Runtime._run

        def noted_run(self: Any, function: Any, payload: bytes, *rest: Any) -> Any:
            started = time.monotonic()
            outcome = run(self, function, payload, *rest)
            note(f"invoke {function.logical_id}", started, time.monotonic())
            return outcome

        setattr(Runtime, "_run", noted_run)  # noqa: B010


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _used(content: bytes) -> list[Any]:
    used = json.loads(content).get("ConsumedCapacity", [])
    return used if isinstance(used, list) else [used]


# The processes of the local stack: `runyard_dev.…` and `functions.stream.app`.
_OWN = ("runyard", "functions.")
if "BENCH_SPANS" in os.environ and any(own in part for own in _OWN for part in sys.orig_argv):
    _install(Path(os.environ["BENCH_SPANS"]), units="BENCH_UNITS" in os.environ)
