"""The Runs API in this process, with the simulated state machines of the harness."""

from dataclasses import replace
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.container import container
from runyard_service.domain.input_requests import InputRequest
from tests.crashes.scenario_run import ScenarioRun
from tests.support.app_server import app_with, make_services


class ApiClient:
    """A client of one app, with an access key for the project of each run."""

    def __init__(self, stack: DevStack) -> None:
        self._services = replace(make_services(stack), orchestrator=container().orchestrator)
        self._client = TestClient(app_with(self._services))

    def answer(self, scenario_run: ScenarioRun, request: InputRequest, **data: Any) -> Response:
        """Send an answer."""
        body = {"type": request.type, "data": {"request_id": request.id, **data}}
        return self._post(scenario_run, "input", body)

    def cancel(self, scenario_run: ScenarioRun) -> Response:
        """Cancel the run."""
        return self._post(scenario_run, "cancel", {})

    def _post(self, scenario_run: ScenarioRun, path: str, body: Any) -> Response:
        run = scenario_run.run
        assert run is not None, "the run was started"
        secret = f"ry_{run.project_id}"
        self._services.stores.access_keys.save(secret, project_id=run.project_id, org_id="o")
        headers = {"Authorization": f"Bearer {secret}"}
        return self._client.post(f"/v1/runs/{run.id}/{path}", headers=headers, json=body)
