"""Every function at work, and the rights that it needed: recorded from its real calls.

What carries runs does so in the scenarios of the crash tests, which make every call there is; the
doors are walked through over HTTP; agents are published as a deployment does it.
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
from runyard_service.agents.definitions.models import Route, Snapshot
from runyard_service.application.runs.start_run import NewRun
from tests.conftest import merged_agents
from tests.crashes.crash_harness import LAMBDA_CONTEXT, CrashHarness, open_harness
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import SCENARIOS, Scenario, _abort, _look_and_answer, _thread
from tests.crashes.state_machine import arn_of
from tests.fault_injection.faults import Process
from tests.permissions.api_requests import at_door, routes_of
from tests.permissions.publishing_functions import publishing_functions, used_by_lambda
from tests.permissions.recorder import Recorder, recording
from tests.permissions.required_actions import ANY_MACHINE, RequiredAction
from tests.permissions.retained_runs import swept_away
from tests.support.servers.bedrock_server import BedrockServer, ConverseReply
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.openai_server import ChatReply, OpenAIServer

Used = Mapping[str, set[RequiredAction]]

_TEMPLATE = Path("template.yaml")
# Which function runs a verb; the doors' verbs are run by both, or by the API alone.
_FUNCTIONS = {
    "start_run": ("ApiFunction", "StreamFunction"),
    "submit_input": ("ApiFunction",),
    "cancel_run": ("ApiFunction",),
    "advance_run": ("RunStepFunction",),
    "request_input": ("RequestInputFunction",),
    "close_run": ("CloseRunFunction",),
    "sweep_runs": ("SweepFunction",),
}
_DOORS = {"api": "ApiFunction", "stream": "StreamFunction"}
# One whose lifecycle's events do not all fit into the log itself.
_TOLD = "a large question"
MODEL_SECRET = "runyard/openai"


def _refuse_to_begin(journey: ScenarioRun) -> None:
    """The caller is answered, and only the sweep starts the first execution."""
    journey.world.machine.not_begun.add(journey.run_id)


# What no crash needs, and what a grant is there for.
_MORE = (
    Scenario(_TOLD, {"case": "large question"}, act=_look_and_answer),
    Scenario("a large question, aborted", {"case": "large question"}, act=_abort),
    Scenario("never begun", {"case": "plain"}, prepare=_refuse_to_begin),
    Scenario("a large message", prepare=_thread("x" * 120_000)),
)


@dataclass(frozen=True, kw_only=True)
class Routed(Scenario):
    """A plain run whose model is somewhere else."""

    route: Route

    def wanted(self, journey: ScenarioRun) -> tuple[Snapshot, NewRun]:
        """What is started."""
        snapshot, wanted = super().wanted(journey)
        return snapshot.model_copy(update={"route": self.route, "script": None}), wanted


def record(folder: Path) -> Used:
    """What each function needed, by its logical id, with the template's own ARNs."""
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
        world = undo.enter_context(open_harness(stack))
        recorder = undo.enter_context(recording(world.present))
        patch = undo.enter_context(pytest.MonkeyPatch.context())
        # Every list that is read gets marks, however short and new it is.
        patch.setattr(position_markers, "MARKER_INTERVAL", 1)
        patch.setattr(position_markers, "STABLE_AFTER_SECONDS", 0)
        stack.client("secretsmanager").create_secret(Name=MODEL_SECRET, SecretString="key")
        for journey in _journeys(world):
            for verb, calls in journey.calls.items():
                for function in _FUNCTIONS[verb]:
                    found = recorder.of(*(call.process for call in calls))
                    used.setdefault(function, set()).update(found)
            if journey.scenario.name == _TOLD:
                assert journey.run is not None
                used |= publishing_functions(world, stack, recorder, journey.run)
        used["PublishAgentsFunction"] = _publisher(world, recorder)
        for door, function in _DOORS.items():
            used.setdefault(function, set()).update(_door(world, recorder, door))
    return {
        function: _on_aws(rights) | used_by_lambda(_TEMPLATE, function)
        for function, rights in used.items()
    }


def _journeys(world: CrashHarness) -> Iterator[ScenarioRun]:
    with (
        OpenAIServer(ChatReply(text=("Done.",))) as openai,
        BedrockServer(ConverseReply(text=("Done.",)), ConverseReply(text=("Done.",))) as bedrock,
    ):
        routes = [
            Route(model="openai:gpt", base_url=openai.base_url, api_key_secret=MODEL_SECRET),
            *(
                Route(model=f"bedrock:{name}", base_url=bedrock.url, region="us-east-1")
                for name in ("anthropic.claude", "us.anthropic.claude")
            ),
        ]
        elsewhere = [Routed(route.model, {"case": "plain"}, route=route) for route in routes]
        for scenario in (*SCENARIOS, *_MORE, *elsewhere):
            journey = ScenarioRun(world, scenario)
            journey.go()
            assert journey.run is not None
            if isinstance(scenario, Routed):
                assert journey.run.status == "completed", journey.run.error
            yield journey
    yield from swept_away(world)


def _publisher(world: CrashHarness, recorder: Recorder) -> set[RequiredAction]:
    process = Process()
    with LoopbackServer(lambda _, exchange: exchange.send(200)) as cloudformation:
        event = json.loads(Path("events/publish_agents/create.json").read_text(encoding="utf-8"))
        with world.working(process):
            handle: Callable[[Any, Any], None] = publish_agents.lambda_handler
            handle({**event, "ResponseURL": cloudformation.url}, LAMBDA_CONTEXT)
        assert cloudformation.received[0].json["Status"] == "SUCCESS"
    return recorder.of(process)


def _door(world: CrashHarness, recorder: Recorder, door: str) -> set[RequiredAction]:
    """A walk through one door, which is told what the template tells it."""
    told = read_template(_TEMPLATE).functions[_DOORS[door]].environment
    variables = {name: told[name] for name in ("ENDPOINT", "AGENTS_OBJECT_KEY", "MAX_BODY_BYTES")}
    variables["STREAM_URL"] = told.get("STREAM_URL", "")
    process = Process()
    with world.working(process), at_door(world, door, **variables) as walk:
        walk.whole()
    assert walk.asked == routes_of(door), "each route of the contract is asked for once"
    return recorder.of(process)


def _on_aws(rights: set[RequiredAction]) -> set[RequiredAction]:
    """The same about the template's machines, in place of those in hand."""
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
    # Tokens are of waits, and only one of the two waits.
    swaps = {ANY_MACHINE: machines[arn_of("resume")], **machines, **executions}

    def swapped(right: RequiredAction) -> RequiredAction:
        resource = right.resource
        for ours, theirs in swaps.items():
            resource = resource.replace(ours, theirs)
        return replace(right, resource=resource)

    return set(map(swapped, rights))
