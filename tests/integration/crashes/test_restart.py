"""Kill everything with `kill -9`: acknowledged data is not lost, unsafe calls are not repeated."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runyard.cli.verify_stores import verify_stores
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.open_store import open_store
from runyard_dev.processes.process import free_ports
from tests.support.dev_process import make_dev
from tests.support.merged_agents import merged_agents
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.payment_server import FakePaymentServer
from tests.support.service import Service, assert_whole

KEY = "ry_survival_key"


@pytest.mark.timeout(180)
def test_runs_survive_the_death_of_everything(tmp_path: Path) -> None:
    merged_agents(tmp_path / "agents")
    (port,) = free_ports(1)
    payment_server = FakePaymentServer()
    with LoopbackServer(payment_server) as server:
        payment_server.seconds = 0.05  # The kill occurs before or after a charge.
        variables = {
            "AGENT_VARIABLES": f'{{"CRM_URL": "http://127.0.0.1:{server.port}"}}',
            "HTTP_ALLOWED_PRIVATE_HOSTS": f"127.0.0.1:{server.port}",
        }
        with make_dev(tmp_path, port, **variables) as process:
            with open_store(tmp_path / "data") as stores:
                stores.access_keys.save(KEY, project_id=PROJECT_ID, org_id=ORG_ID, agent="tools")
            service = Service(f"http://127.0.0.1:{port}", KEY)
            with ThreadPoolExecutor(20) as pool:
                runs = list(pool.map(lambda _: create(service), range(20)))
            until = time.monotonic() + 30
            while len(payment_server.charges) < 5 and time.monotonic() < until:
                time.sleep(0.01)
            # Everything at the same time: the processes die with their supervisor.
            process.kill()
            process.wait()
            service.close()
        with make_dev(tmp_path, port, **variables):
            service = Service(f"http://127.0.0.1:{port}", KEY)
            doubts = sum(finish(service, run["id"]) for run in runs)
            logs = [service.events(run["id"]) for run in runs]
            service.close()
    for log in logs:
        assert_whole(log)
        assert log[-1]["type"] == "run.completed"
    assert any(event["type"] == "run.recovered" for log in logs for event in log)
    # A call in doubt was answered with `skip`: it was made at most once.
    assert max(payment_server.charges.values()) == 1
    assert 20 - doubts <= len(payment_server.charges) <= 20
    with open_store(tmp_path / "data") as stores:
        assert verify_stores(stores) == 0


def create(service: Service) -> dict[str, Any]:
    return service.create({"case": "charge and ask"}, background=True)


def finish(service: Service, run_id: str) -> int:
    """Answer all input requests of the run until it ends; return the number of calls in doubt."""
    doubts = 0
    while True:
        run = service.wait(run_id, "awaiting_input", "completed", "failed")
        if run["status"] != "awaiting_input":
            return doubts
        in_doubt = "choices" in run["input_requests"][0]["params"]
        doubts += in_doubt
        response = service.answer(run, feedback="skip" if in_doubt else "yes")
        assert response.status_code == 200, response.text
        time.sleep(0.05)
