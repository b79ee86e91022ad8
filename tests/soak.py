"""Soak test: many runs and clients while workers are killed: `python -m tests.soak [runs]`.

Every run has two input requests. Eight clients answer them over HTTP. They send one answer in ten
twice, and cancel one run in twenty. Every second, `kill -9` kills a worker. At the end, every run
must have its expected status and all accepted answers, and `runyard verify` must find nothing.
The last line is the result. The exit code is 1 if there is a violation.
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runyard.cli.verify_stores import verify_stores
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.open_store import stores_of
from tests.support.merged_agents import merged_agents
from tests.support.servers.strict_dynamodb import plugin
from tests.support.service import Service, assert_whole

RUNS = 500
CLIENTS = 8
WORKERS = 16
REPEATED, CANCELED = 0.10, 0.05
KILL_EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 900
KEY = "ry_soak_key"


@dataclass
class Soak:
    """One soak test. `answers` has the run and the answer by id of the input request.

    `violations` has one line for each run that did not end as expected.
    """

    service: Service
    worker_port: int
    runs: int
    report: Callable[[str], None]
    run_ids: list[str] = field(default_factory=list)
    canceled: set[str] = field(default_factory=set)
    answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self) -> None:
        """Start the runs, and answer their input requests until all runs have ended."""
        started = time.monotonic()
        killer = threading.Thread(target=self._kill_workers)
        killer.start()
        try:
            with ThreadPoolExecutor(CLIENTS) as clients:
                self.run_ids = list(clients.map(self._start, range(self.runs)))
                self.report(f"{self.runs} runs started after {time.monotonic() - started:.0f} s")
                selected = random.Random(0).sample(self.run_ids, round(self.runs * CANCELED))
                self.canceled = set(selected)
                answering = [clients.submit(self._answer_all, each) for each in range(CLIENTS)]
                self._wait_for_all(started, answering)
        finally:
            self.stopped.set()
            killer.join()

    def _start(self, _: int) -> str:
        run = self.service.create({"case": "soak"}, background=True)
        return str(run["id"])

    def _wait_for_all(self, started: float, answering: Sequence[Future[None]]) -> None:
        active = "&".join(f"status={each}" for each in ("created", "started", "paused"))
        active += "&status=awaiting_input&page_size=1"
        ended = 0
        while ended < self.runs:
            assert time.monotonic() < started + TIMEOUT_SECONDS, "the runs do not end"
            for client in answering:
                if client.done():
                    client.result()
            time.sleep(1)
            listed = self.service.http.get(f"/v1/runs?{active}").json()
            ended = self.runs - listed["pagination"]["total_count"]
            self.report(
                f"{time.monotonic() - started:4.0f} s: {ended} ended, {self._describe_counts()}"
            )
        self.stopped.set()

    def _describe_counts(self) -> str:
        with self.lock:
            return ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))

    def _count(self, name: str, number: int = 1) -> None:
        with self.lock:
            self.counts[name] += number

    # --- clients ---------------------------------------------------------------------------------

    def _answer_all(self, client: int) -> None:
        chance = random.Random(client)
        while not self.stopped.is_set():
            inbox = self.service.http.get("/v1/input-requests", params={"page_size": 100}).json()
            found = chance.sample(inbox["data"], min(5, len(inbox["data"])))
            waiting = [one for one in found if self._claim(one["id"])]
            for one in waiting:
                if one["run_id"] in self.canceled:
                    self._cancel(one["run_id"])
                else:
                    self._answer(one, chance)
            if not waiting:
                time.sleep(0.05)

    def _claim(self, request_id: str) -> bool:
        """Return True if no other client answers the request; a client claims a few at a time."""
        with self.lock:
            is_free = request_id not in self.answers
            self.answers.setdefault(request_id, ("", ""))
            return is_free

    def _cancel(self, run_id: str) -> None:
        response = self.service.http.post(f"/v1/runs/{run_id}/cancel")
        assert response.status_code == 200, response.text
        self._count("cancels")

    def _answer(self, one: dict[str, Any], chance: random.Random) -> None:
        feedback = chance.choice(one["params"].get("choices", ["yes", "no", "why not"]))
        times = 2 if chance.random() < REPEATED else 1
        for _ in range(times):
            response = self.service.answer(
                {"id": one["run_id"], "input_requests": [one]}, feedback=feedback
            )
            assert response.status_code == 200, response.text
        with self.lock:
            self.answers[one["id"]] = (one["run_id"], feedback)
            self.counts["answers"] += 1
            self.counts["repeated answers"] += times - 1

    # --- workers ---------------------------------------------------------------------------------

    def _kill_workers(self) -> None:
        ready = f"http://{HOST}:{self.worker_port}/ready"
        while not self.stopped.wait(KILL_EVERY_SECONDS):
            try:
                with urllib.request.urlopen(ready, timeout=5) as answer:
                    os.kill(json.load(answer)["pid"], signal.SIGKILL)
            except OSError:
                continue  # The supervisor is replacing it.
            self._count("workers killed")

    # --- the end ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Check the status and the accepted answers of every run; collect the violations."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self._check, self.run_ids))

    def describe_result(self) -> str:
        """Return the result as one line."""
        counts = self.counts
        return (
            f"soak: {self.runs} runs, {counts['workers killed']} workers killed, "
            f"{counts['events']} events, {len(self.violations)} violations"
        )

    def _check(self, run_id: str) -> None:
        run, events = self.service.run(run_id), self.service.events(run_id)
        self._count("events", len(events))
        try:
            self._assert_ended(run, events)
        except AssertionError as error:
            with self.lock:
                self.violations.append(f"run {run_id}: {error}")

    def _assert_ended(self, run: dict[str, Any], events: list[dict[str, Any]]) -> None:
        run_id = run["id"]
        assert_whole(events)
        recorded = {
            event["data"]["id"]: event["data"]["feedback"]
            for event in events
            if event["type"] == "agent.human_feedback.received"
        }
        with self.lock:
            sent = {
                name: answer for name, (owner, answer) in self.answers.items() if owner == run_id
            }
        assert recorded == sent, f"recorded answers {recorded}, accepted answers {sent}"
        expected = "canceled" if run_id in self.canceled else "completed"
        assert run["status"] == expected, f"status {run['status']}, expected {expected}"
        assert len(recorded) == (0 if expected == "canceled" else 2)
        if any(event["type"] == "run.recovered" for event in events):
            self._count("runs that lost a worker")


def soak(runs: int, folder: Path, report: Callable[[str], None]) -> Soak:
    """Run the soak test on a stack in `folder`; raise AssertionError if it cannot finish."""
    agents = merged_agents(folder / "agents")
    workers = {"LAMBDA_WORKERS": str(WORKERS)}
    data_dir = folder / "data"
    with DevStack.start(data_dir=data_dir, agents_dir=agents, environment=workers) as stack:
        stores = stores_of(stack.environment)
        stores.access_keys.save(KEY, project_id=PROJECT_ID, org_id=ORG_ID, agent="people")
        service = Service(stack.base_url, KEY)
        try:
            soaked = Soak(service, stack.port("lambda"), runs, report)
            soaked.execute()
            soaked.check()
        finally:
            service.close()
        if verify_stores(stores):
            soaked.violations.append("`runyard verify` found violations, printed above")
    return soaked


def main() -> int:
    """Print the progress and the result; return 1 if there is a violation."""
    plugin.enable()
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="runyard-soak-") as folder:
        try:
            soaked = soak(runs, Path(folder), lambda line: print(line, flush=True))
        except AssertionError as error:
            print(f"soak: violation: {error}")
            return 1
    for violation in soaked.violations:
        print(f"violation: {violation}")
    print(soaked.describe_result())
    return 1 if soaked.violations else 0


if __name__ == "__main__":
    sys.exit(main())
