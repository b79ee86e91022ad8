"""The actions that every function needs, recorded from its real AWS calls.

The functions that process runs execute the scenarios of the crash tests, which make every call. The
endpoints get requests over HTTP. Agents are published as in a deployment.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from functions.publish_agents import handler as publish_agents
from runyard_dev.dev_stack import DevStack
from runyard_dev.template.cloudformation import Resolver, load_document
from runyard_dev.template.template import STACK_NAME, read_template
from runyard_service.adapters.dynamodb.run_index import position_markers
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.application.runs.start_run import NewRun
from tests.crashes.crash_harness import LAMBDA_CONTEXT, CrashHarness, open_harness
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import SCENARIOS, Scenario, _abort, _sweep_and_answer, _thread
from tests.fault_injection.faults import Process
from tests.permissions.api_requests import open_walk, routes_of
from tests.permissions.publishing_functions import actions_of_lambda, publishing_functions
from tests.permissions.recorder import Recorder, recording
from tests.permissions.required_actions import ANY_MACHINE, RequiredAction
from tests.permissions.retained_runs import sweep_expired_runs
from tests.support.merged_agents import merged_agents
from tests.support.servers.bedrock_server import BedrockServer, ConverseResponse
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.openai_server import ChatResponse, OpenAIServer
from tests.support.state_machines import arn_of

Used = Mapping[str, set[RequiredAction]]

_TEMPLATE = Path("template.yaml")
# The functions that execute a use case: those of the endpoints by both, or by the API only.
_FUNCTIONS = {
    "start_run": ("ApiFunction", "StreamFunction"),
    "submit_input": ("ApiFunction",),
    "cancel_run": ("ApiFunction",),
    "migrate_run": ("ApiFunction",),
    "advance_run": ("RunStepFunction",),
    "request_input": ("RequestInputFunction",),
    "close_run": ("CloseRunFunction",),
    "sweep_runs": ("SweepFunction",),
}
_ENDPOINTS = {"api": "ApiFunction", "stream": "StreamFunction"}
# A scenario whose lifecycle events are too large for the log, in part.
_PUBLISHED = "large input request"
MODEL_SECRET = "runyard/openai"


def _fail_the_start(scenario_run: ScenarioRun) -> None:
    """Let the start of the first execution fail: only the sweep starts it."""
    scenario_run.harness.state_machines.failing_starts.add(scenario_run.run_id)


# Scenarios that the crash tests do not need, and that use the remaining grants.
_MORE_SCENARIOS = (
    Scenario(_PUBLISHED, {"case": "large request"}, respond=_sweep_and_answer),
    Scenario("large input request, aborted", {"case": "large request"}, respond=_abort),
    Scenario("never started", {"case": "plain"}, prepare=_fail_the_start),
    Scenario("a large message", prepare=_thread("x" * 120_000)),
)


@dataclass(frozen=True, kw_only=True)
class Routed(Scenario):
    """A plain run with a model on another route."""

    route: Route

    def make_new_run(self, scenario_run: ScenarioRun) -> tuple[Snapshot, NewRun]:
        """Return the agent snapshot and the run to start."""
        snapshot, new_run = super().make_new_run(scenario_run)
        return snapshot.model_copy(update={"route": self.route, "script": None}), new_run


def record(folder: Path) -> Used:
    """Return the actions that each function needed, by its logical id, with the template's ARNs."""
    used: dict[str, set[RequiredAction]] = {}
    agents = merged_agents(folder / "agents")
    with (
        DevStack.start(
            data_dir=folder,
            agents_dir=agents,
            web=False,
            sweep_seconds=None,
            event_sources=False,
        ) as stack,
        ExitStack() as undo,
    ):
        harness = undo.enter_context(open_harness(stack))
        recorder = undo.enter_context(recording(harness.current_process))
        patch = undo.enter_context(pytest.MonkeyPatch.context())
        # Every list that is read gets position markers, even if it is short and new.
        patch.setattr(position_markers, "MARKER_INTERVAL", 1)
        patch.setattr(position_markers, "STABLE_AFTER_SECONDS", 0)
        stack.client("secretsmanager").create_secret(Name=MODEL_SECRET, SecretString="key")
        for scenario_run in _run_scenarios(harness):
            for use_case, calls in scenario_run.calls.items():
                for function in _FUNCTIONS[use_case]:
                    found = recorder.of(*(call.process for call in calls))
                    used.setdefault(function, set()).update(found)
            if scenario_run.scenario.name == _PUBLISHED:
                assert scenario_run.run is not None
                publishing = publishing_functions(harness, stack, recorder, scenario_run.run)
                for function, found in publishing.items():
                    used.setdefault(function, set()).update(found)
        used["PublishAgentsFunction"] = _record_publisher(harness, recorder)
        for endpoint, function in _ENDPOINTS.items():
            used.setdefault(function, set()).update(_record_endpoint(harness, recorder, endpoint))
    return {
        function: _with_template_arns(rights) | actions_of_lambda(_TEMPLATE, function)
        for function, rights in used.items()
    }


def _run_scenarios(harness: CrashHarness) -> Iterator[ScenarioRun]:
    with (
        OpenAIServer(ChatResponse(text=("Done.",))) as openai,
        BedrockServer(
            ConverseResponse(text=("Done.",)), ConverseResponse(text=("Done.",))
        ) as bedrock,
    ):
        routes = [
            Route(model="openai:gpt", base_url=openai.base_url, api_key_secret=MODEL_SECRET),
            *(
                Route(model=f"bedrock:{name}", base_url=bedrock.url, region="us-east-1")
                for name in ("anthropic.claude", "us.anthropic.claude")
            ),
        ]
        routed = [Routed(route.model, {"case": "plain"}, route=route) for route in routes]
        for scenario in (*SCENARIOS, *_MORE_SCENARIOS, *routed):
            scenario_run = ScenarioRun(harness, scenario)
            scenario_run.execute()
            assert scenario_run.run is not None
            if isinstance(scenario, Routed):
                assert scenario_run.run.status == "completed", scenario_run.run.error
            yield scenario_run
    yield from sweep_expired_runs(harness)


def _record_publisher(harness: CrashHarness, recorder: Recorder) -> set[RequiredAction]:
    process = Process()
    with LoopbackServer(lambda _, exchange: exchange.send(200)) as cloudformation:
        event = json.loads(Path("events/publish_agents/create.json").read_text(encoding="utf-8"))
        with harness.run_as(process):
            handle: Callable[[Any, Any], None] = publish_agents.lambda_handler
            handle({**event, "ResponseURL": cloudformation.url}, LAMBDA_CONTEXT)
        assert cloudformation.received[0].json["Status"] == "SUCCESS"
    return recorder.of(process)


def _record_endpoint(
    harness: CrashHarness, recorder: Recorder, endpoint: str
) -> set[RequiredAction]:
    """Walk through an endpoint that has the settings of the template; return the needed actions."""
    environment = read_template(_TEMPLATE).functions[_ENDPOINTS[endpoint]].environment
    variables = {
        name: environment[name] for name in ("ENDPOINT", "AGENTS_OBJECT_KEY", "MAX_BODY_BYTES")
    }
    variables["STREAM_URL"] = environment.get("STREAM_URL", "")
    process = Process()
    with harness.run_as(process), open_walk(harness, endpoint, **variables) as walk:
        walk.call_every_route()
    assert walk.called_routes == routes_of(endpoint), "the walk calls each route of the contract"
    return recorder.of(process)


def _with_template_arns(rights: set[RequiredAction]) -> set[RequiredAction]:
    """Return the actions with the template's state machines instead of the simulated ones."""
    resolver = Resolver(load_document(_TEMPLATE), stack_name=STACK_NAME)
    machines = {
        arn_of("run"): resolver.arn_of("RunStateMachine"),
        arn_of("resume"): resolver.arn_of("ResumeStateMachine"),
    }
    executions = {
        ours.replace(":stateMachine:", ":execution:"): theirs.replace(
            ":stateMachine:", ":execution:"
        )
        for ours, theirs in machines.items()
    }
    # Only the resume state machine waits, so every task token belongs to it.
    replacements = {ANY_MACHINE: machines[arn_of("resume")], **machines, **executions}

    def replace_arns(right: RequiredAction) -> RequiredAction:
        resource = right.resource
        for ours, theirs in replacements.items():
            resource = resource.replace(ours, theirs)
        return replace(right, resource=resource)

    return set(map(replace_arns, rights))
