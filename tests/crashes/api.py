"""The Runs API in this process, over the world's state machine: what callers are told."""

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
    """One app, and a key for the project of each run."""

    def __init__(self, stack: DevStack) -> None:
        self._services = replace(make_services(stack), orchestrator=container().orchestrator)
        self._client = TestClient(app_with(self._services))

    def answer(self, journey: ScenarioRun, request: InputRequest, **data: Any) -> Response:
        """Send an answer."""
        body = {"type": request.type, "data": {"request_id": request.id, **data}}
        return self._post(journey, "input", body)

    def cancel(self, journey: ScenarioRun) -> Response:
        """Cancel the run."""
        return self._post(journey, "cancel", {})

    def _post(self, journey: ScenarioRun, what: str, body: Any) -> Response:
        run = journey.run
        assert run is not None, "a run that was started is there"
        secret = f"ry_{run.project_id}"
        self._services.stores.access_keys.save(secret, project_id=run.project_id, org_id="o")
        headers = {"Authorization": f"Bearer {secret}"}
        return self._client.post(f"/v1/runs/{run.id}/{what}", headers=headers, json=body)
