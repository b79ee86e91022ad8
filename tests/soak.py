"""Many runs, many clients, and workers that die all the time: `python -m tests.soak [runs]`.

Every run asks two questions. Eight clients answer them over HTTP; one answer in ten is sent again,
one run in twenty is canceled instead; and each second a worker is killed with -9. At the end every
run must have ended as it should, with every accepted answer, and `runyard verify` must find no
violation.
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
from tests.conftest import merged_agents
from tests.support.service import Service, assert_whole

RUNS = 500
CLIENTS = 8
WORKERS = 16
REPEATED, CANCELED = 0.10, 0.05
KILL_EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 900
KEY = "ry_soak_key"


@dataclass
class Soak:
    """One soak, and what it has done so far: `said` has by question its run and its answer."""

    service: Service
    worker_port: int
    runs: int
    report: Callable[[str], None]
    run_ids: list[str] = field(default_factory=list)
    canceled: set[str] = field(default_factory=set)
    said: dict[str, tuple[str, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def go(self) -> None:
        """Start the runs, and answer until all of them have ended."""
        begun = time.monotonic()
        killer = threading.Thread(target=self._kill_workers)
        killer.start()
        try:
            with ThreadPoolExecutor(CLIENTS) as clients:
                self.run_ids = list(clients.map(self._begin, range(self.runs)))
                self.report(f"{self.runs} runs started after {time.monotonic() - begun:.0f} s")
                doomed = random.Random(0).sample(self.run_ids, round(self.runs * CANCELED))
                self.canceled = set(doomed)
                answering = [clients.submit(self._answer_all, each) for each in range(CLIENTS)]
                self._wait_for_all(begun, answering)
        finally:
            self.over.set()
            killer.join()

    def _begin(self, _: int) -> str:
        run = self.service.create({"case": "soak"}, background=True)
        return str(run["id"])

    def _wait_for_all(self, begun: float, answering: Sequence[Future[None]]) -> None:
        live = "&".join(f"status={each}" for each in ("created", "started", "paused"))
        live += "&status=awaiting_input&page_size=1"
        ended = 0
        while ended < self.runs:
            assert time.monotonic() < begun + PATIENCE_SECONDS, "the runs do not come to their end"
            for client in answering:
                if client.done():
                    client.result()
            time.sleep(1)
            listed = self.service.http.get(f"/v1/runs?{live}").json()
            ended = self.runs - listed["pagination"]["total_count"]
            self.report(f"{time.monotonic() - begun:4.0f} s: {ended} ended, {self._told()}")
        self.over.set()

    def _told(self) -> str:
        with self.lock:
            return ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))

    def _count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    # --- clients ---------------------------------------------------------------------------------

    def _answer_all(self, client: int) -> None:
        chance = random.Random(client)
        while not self.over.is_set():
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
        """Whether nobody else is about to answer it; a client takes a few at a time."""
        with self.lock:
            is_free = request_id not in self.said
            self.said.setdefault(request_id, ("", ""))
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
            self.said[one["id"]] = (one["run_id"], feedback)
            self.counts["answers"] += 1
            self.counts["repeated"] += times - 1

    # --- workers ---------------------------------------------------------------------------------

    def _kill_workers(self) -> None:
        ready = f"http://{HOST}:{self.worker_port}/ready"
        while not self.over.wait(KILL_EVERY_SECONDS):
            try:
                with urllib.request.urlopen(ready, timeout=5) as answer:
                    os.kill(json.load(answer)["pid"], signal.SIGKILL)
            except OSError:
                continue  # It was just being replaced.
            self._count("workers killed")

    # --- the end ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Every run ended as it should, and has every answer that was accepted."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self._check, self.run_ids))

    def _check(self, run_id: str) -> None:
        run, events = self.service.run(run_id), self.service.events(run_id)
        assert_whole(events)
        heard = {
            event["data"]["id"]: event["data"]["feedback"]
            for event in events
            if event["type"] == "agent.human_feedback.received"
        }
        with self.lock:
            said = {one: said for one, (whose, said) in self.said.items() if whose == run_id}
        assert heard == said
        expected = "canceled" if run_id in self.canceled else "completed"
        assert run["status"] == expected, run
        assert len(heard) == (0 if expected == "canceled" else 2)
        if any(event["type"] == "run.recovered" for event in events):
            self._count("runs that lost a worker")


def soak(runs: int, folder: Path, report: Callable[[str], None]) -> Soak:
    """Run the soak on a stack of its own in `folder`; raises AssertionError where it fails."""
    agents = merged_agents(folder / "agents")
    workers = {"LAMBDA_WORKERS": str(WORKERS)}
    data_dir = folder / "data"
    with DevStack.start(data_dir=data_dir, agents_dir=agents, environment=workers) as stack:
        stores = stores_of(stack.environment)
        stores.access_keys.save(KEY, project_id=PROJECT_ID, org_id=ORG_ID, agent="people")
        service = Service(stack.base_url, KEY)
        try:
            soaked = Soak(service, stack.port("lambda"), runs, report)
            soaked.go()
            soaked.check()
        finally:
            service.close()
        assert verify_stores(stores) == 0
    return soaked


def main() -> None:
    """Print what happens, second by second."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="runyard-soak-") as folder:
        begun = time.monotonic()
        soaked = soak(runs, Path(folder), lambda line: print(line, flush=True))
        seconds = time.monotonic() - begun
    print(f"all right after {seconds:.0f} s: {dict(sorted(soaked.counts.items()))}")


if __name__ == "__main__":
    main()
