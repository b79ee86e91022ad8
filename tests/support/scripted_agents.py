"""Agents with a script that the test writes, and a worker for their runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import AgentDefinition, Limits, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.input_requests.request_input import request_input
from runyard_service.application.steps.advance_run import AdvanceResult
from runyard_service.application.steps.run_context import WorkerDeps
from runyard_service.domain.runs import Execution


def scripted_agent(
    turns: Sequence[Any],
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    route: Route | None = None,
    **limits: Any,
) -> Snapshot:
    """Return an agent whose model sends these responses, or that uses the model of `route`."""
    definition = AgentDefinition.model_validate(
        {
            "key": "scripted",
            "version": "1",
            "instructions": "Continue.",
            "route": "scripted",
            "input_schema": {"type": "object"},
            "tools": tools,
            "limits": Limits(**limits),
        }
    )
    script = {"dialogues": [{"name": "scripted", "turns": turns}]}
    route = route or Route(model="scripted:scripted")
    return Snapshot(definition=definition, route=route, route_id="scripted", script=script)


def scripted_worker(stores: Stores, tools: ToolEnvironment | None = None) -> WorkerDeps:
    """Return a worker that writes each delta at once and reserves a second to record results."""
    return WorkerDeps(
        stores=stores,
        model_for=lambda used: model_for(used.route, used.script, None),
        tools=tools or ToolEnvironment({}),
        flush_seconds=0,
        reserve_seconds=1,
    )


def ask(
    stores: Stores, execution: Execution, token: str = "token", met: AdvanceResult | None = None
) -> bool:
    """Run an invocation of request_input for the result `met`, or for the newest event.

    Return whether the run waits.
    """
    if met is None:
        met = AdvanceResult("needs_input", last_sequence=stores.log.last(execution.run_id)[0])
    return request_input(stores, execution, token, met.limit, met.last_sequence)
