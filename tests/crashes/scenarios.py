"""The scenarios of the crash tests. Together they make every external call of the service."""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.models import (
    ContextPolicy,
    FallbackRoute,
    Limits,
    Snapshot,
)
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.application.maintenance.sweep_runs import MAX_LOST_EXECUTIONS
from runyard_service.application.runs.journal import Journal
from runyard_service.application.runs.start_run import NewRun
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.threads import Thread
from tests.crashes.own_agent import FUNCTION, SLEEP_SECONDS
from tests.crashes.scenario_run import ScenarioRun
from tests.support.scripted_agents import scripted_agent

_Action = Callable[[ScenarioRun], None]
_BOOK = "http.POST /mcp book"
_EDITS = {"amount": 1, "text": "edited"}


def _answer_all(scenario_run: ScenarioRun) -> None:
    for request in scenario_run.open_requests():
        if scenario_run.is_in_doubt(request):
            scenario_run.decide_doubt(request)
        elif request.type == "human_feedback":
            feedback = {"seat": "aisle"} if "form" in request.params else request.prompt
            scenario_run.answer(request, feedback=feedback)
        else:
            edits = {name: _EDITS[name] for name in request.editable_params if name in _EDITS}
            scenario_run.answer(request, is_approved=True, params=edits or None)


def _nothing(_: ScenarioRun) -> None:
    """Prepare nothing."""


def _expire(scenario_run: ScenarioRun) -> None:
    """Time out the wait: no person answers in time."""
    time.sleep(0.2)
    _time_out(scenario_run)


def _time_out(scenario_run: ScenarioRun) -> None:
    for execution in scenario_run.executions:
        if execution.is_waiting:
            scenario_run.harness.state_machines.time_out(execution)


def _answer_or_wake(scenario_run: ScenarioRun) -> None:
    """Answer the input requests, or wait until the own code wakes up."""
    if scenario_run.open_requests():
        _answer_all(scenario_run)
    else:
        time.sleep(SLEEP_SECONDS)
        _time_out(scenario_run)


def _wake_or_answer(scenario_run: ScenarioRun) -> None:
    """Wait until the own code wakes up, also while an input request is open."""
    if scenario_run.sleeps():
        time.sleep(SLEEP_SECONDS)
        _time_out(scenario_run)
    else:
        _answer_all(scenario_run)


def _answer_during_charge(scenario_run: ScenarioRun) -> None:
    def answer() -> None:
        for request in scenario_run.open_requests():
            scenario_run.answer(request, feedback=request.prompt, concurrent=True)

    scenario_run.harness.payment_server.during_charge = answer


def _migrate_and_answer(scenario_run: ScenarioRun) -> None:
    scenario_run.migrate("2")
    _answer_all(scenario_run)


def _lose_execution(scenario_run: ScenarioRun) -> None:
    """Lose the execution once; then answer the execution that replaces it."""
    if not scenario_run.notes.get("execution lost"):
        scenario_run.notes["execution lost"] = True
        for execution in scenario_run.executions:
            del scenario_run.harness.state_machines.executions[execution.name]
        scenario_run.sweep()
        return
    _answer_all(scenario_run)


def _lose_last_execution(scenario_run: ScenarioRun) -> None:
    """Lose the last execution that a run may have."""
    journal = Journal.open(scenario_run.harness.stores, scenario_run.run_id)
    while journal.history.lost_executions < MAX_LOST_EXECUTIONS:
        journal.append([journal.recovered_event("execution_ended")])
    for execution in scenario_run.executions:
        del scenario_run.harness.state_machines.executions[execution.name]
    scenario_run.sweep()


def _no_time(scenario_run: ScenarioRun) -> None:
    """Leave the first worker no time for a step, so that the next execution continues."""
    scenario_run.harness.short_invocations = 1


def _answer_after_state(scenario_run: ScenarioRun) -> None:
    """Answer when the MCP server no longer reads the state that it sent with its request."""
    scenario_run.harness.payment_server.mcp.forget_states()
    _answer_all(scenario_run)


def _fail_handover(scenario_run: ScenarioRun) -> None:
    """Let the worker fail to start the next execution."""
    scenario_run.harness.state_machines.failing_handovers.add(scenario_run.run_id)


def _sweep_and_answer(scenario_run: ScenarioRun) -> None:
    """Invoke the sweep while the run waits, which changes nothing; then answer."""
    scenario_run.sweep()
    _answer_all(scenario_run)


def _answer_without_resume(scenario_run: ScenarioRun) -> None:
    """Answer while Step Functions is unreachable."""
    scenario_run.harness.state_machines.failing_calls = 1
    _answer_all(scenario_run)


def _abort(scenario_run: ScenarioRun) -> None:
    """Stop the execution manually."""
    for execution in scenario_run.executions:
        scenario_run.harness.state_machines.stop_execution(execution)


def _cancel_during_charge(scenario_run: ScenarioRun) -> None:
    scenario_run.harness.payment_server.during_charge = lambda: scenario_run.cancel(concurrent=True)


def _sweep_during_charge(scenario_run: ScenarioRun) -> None:
    scenario_run.harness.payment_server.during_charge = lambda: scenario_run.sweep(concurrent=True)


def _files(scenario_run: ScenarioRun) -> None:
    """Store one file, and announce and upload another."""
    harness, project = scenario_run.harness, _project(scenario_run)
    ready = harness.stores.files.save(project, _upload())
    announced, _ = harness.stores.files.announce(project, "later.txt", 5, "text/plain")
    key = announced.key.replace("files/", "uploads/", 1)
    harness.s3.put_object(Bucket=harness.bucket, Key=key, Body=b"later")
    scenario_run.notes["file_ids"] = (ready.id, announced.id)


def _thread(content: str) -> _Action:
    def prepare(scenario_run: ScenarioRun) -> None:
        at, thread_id = timestamp(), new_id()
        project = _project(scenario_run)
        thread = Thread(id=thread_id, project_id=project, org_id="o", created_at=at, updated_at=at)
        scenario_run.harness.stores.threads.create(thread)
        scenario_run.harness.stores.messages.add(thread_id, "user", content)
        scenario_run.notes["thread_id"] = thread_id

    return prepare


def _project(scenario_run: ScenarioRun) -> str:
    """Return a separate project, without the costs and runs of other scenarios."""
    return f"crashes-{scenario_run.run_id}"


def _upload() -> NewFile:
    return NewFile("note.txt", "text/plain", io.BytesIO(b"hello"))


@lru_cache
def _registry() -> Registry:
    return Registry(AgentDirectory(Path("tests/agents")))


@lru_cache
def _snapshot(agent: str) -> Snapshot:
    if agent == "desk":
        return _desk_snapshot()
    return _registry().agent(agent)


def _desk_snapshot() -> Snapshot:
    """Return an agent with the tools of an MCP server, which are unsafe except for one."""
    tool = {
        "kind": "mcp",
        "server": "desk",
        "include": ["*"],
        "overrides": {
            "search": {"effect": "none"},
            "draw": {"effect": "none"},
            "charge": {"approval": {"editable": ["text"]}},
        },
    }
    turns = {
        "tools": ["search", "draw", "charge"],
        "elicitation": ["book"],
    }
    script = {
        "dialogues": [
            {
                "name": case,
                "when": {"input.case": case},
                "turns": [*({"call": [{"tool": f"desk_{name}"}]} for name in names), {"say": "OK"}],
            }
            for case, names in turns.items()
        ]
    }
    agent = scripted_agent([{"say": "OK"}], [tool])
    return agent.model_copy(
        update={
            "definition": agent.definition.model_copy(update={"key": "desk"}),
            "script": script,
            "mcp_servers": {"desk": McpServer(url="${CRM_URL}/mcp", protocol="2026-07-28")},
        }
    )


@dataclass(frozen=True)
class Scenario:
    """A run of `tests/agents/crashes.yaml`, and the actions of callers and people.

    The matrix has points for the first `max_calls` calls of each use case; later calls repeat them.
    A concurrent action runs in the middle of `action_call`, and only if that call succeeds. A
    server asks for input only then, too.
    `fallback` names the fallback route of the agent. Without `has_fixed_order`, a recovered run
    may act on an answer before or after the other events of its step.
    """

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    prepare: _Action = _nothing
    respond: _Action = _answer_all
    has_uploads: bool = False
    max_active_runs: int = 0
    max_calls: int = 1000
    action_call: str = ""
    fallback: str = ""
    context_window: int | None = None
    agent: str = "crashes"
    has_fixed_order: bool = True

    def handle_wait(self, scenario_run: ScenarioRun) -> None:
        """Respond to the input requests; decide about calls in doubt first."""
        doubts = [one for one in scenario_run.open_requests() if scenario_run.is_in_doubt(one)]
        for request in doubts:
            scenario_run.decide_doubt(request)
        if not doubts:
            self.respond(scenario_run)

    def make_new_run(self, scenario_run: ScenarioRun) -> tuple[Snapshot, NewRun]:
        """Return the agent snapshot and the run to start."""
        snapshot = _snapshot(self.agent)
        changes: dict[str, Any] = {"limits": self.limits}
        if self.context_window:
            changes["context"] = ContextPolicy(keep_turns=1)
        definition = snapshot.definition.model_copy(update=changes)
        route = snapshot.route.model_copy(update={"context_window": self.context_window})
        new_run = NewRun(
            org_id="o",
            project_id=_project(scenario_run),
            input=self.input,
            run_id=scenario_run.run_id,
            thread_id=scenario_run.notes.get("thread_id"),
            file_ids=scenario_run.notes.get("file_ids", ()),
            uploads=[_upload()] if self.has_uploads else (),
            max_active_runs=self.max_active_runs,
            max_org_active_runs=self.max_active_runs,
        )
        snapshot = snapshot.model_copy(update={"definition": definition, "route": route})
        if self.fallback:
            used = _registry().resolve(self.agent, route_id=self.fallback)
            fallback = FallbackRoute(route=used.route, route_id=used.route_id, script=used.script)
            snapshot = snapshot.model_copy(update={"fallback": (fallback,)})
        return snapshot, new_run


@dataclass(frozen=True)
class CodeScenario(Scenario):
    """A run of an agent in the user's own code, with the tools of the other scenarios."""

    def make_new_run(self, scenario_run: ScenarioRun) -> tuple[Snapshot, NewRun]:
        """Return the agent snapshot and the run to start."""
        snapshot, new_run = super().make_new_run(scenario_run)
        code = {"kind": "code", "function": FUNCTION}
        definition = snapshot.definition.model_copy(update=code)
        return snapshot.model_copy(update={"definition": definition}), new_run


def _case(name: str, **options: Any) -> Scenario:
    return Scenario(name, {"case": name}, **options)


SCENARIOS = (
    _case("plain", max_active_runs=1000),
    *map(_case, ("lookup", "note", "charge", "count", "today", "parallel")),
    _case("two input requests"),
    _case("three input requests"),
    Scenario("out of time", {"case": "lookup"}, prepare=_no_time),
    _case("approval"),
    _case("expiry", respond=_expire),
    _case("rejected"),
    _case("unavailable", max_calls=12),
    _case("fallback", fallback="test-fallback"),
    _case("large"),
    CodeScenario("own code", {"case": "plain"}, respond=_answer_or_wake),
    CodeScenario(
        "reminder",
        {"case": "reminder"},
        prepare=_answer_during_charge,
        respond=_wake_or_answer,
        has_fixed_order=False,
    ),
    CodeScenario("migrated", {"case": "version"}, respond=_migrate_and_answer),
    _case("limit", limits=Limits(steps=1, wall_clock_seconds=3600, on_limit="ask")),
    Scenario("capped", {"case": "limit"}, Limits(usd_per_day=Decimal(100))),
    Scenario("over the cap", {"case": "plain"}, Limits(usd_per_day=Decimal("0.01"))),
    Scenario("capped and rejected", {"case": "rejected"}, Limits(usd_per_day=Decimal(100))),
    _case("compacted", context_window=48_000),
    Scenario(
        "compacted under a cap",
        {"case": "compacted"},
        Limits(usd_per_day=Decimal(1000)),
        context_window=48_000,
    ),
    Scenario("files", {"case": "plain"}, prepare=_files, has_uploads=True),
    Scenario("a large input", {"case": "plain", "text": "x" * 120_000}),
    Scenario("canceled while waiting", {"case": "two input requests"}, respond=ScenarioRun.cancel),
    Scenario(
        "canceled during a call",
        {"case": "charge"},
        prepare=_cancel_during_charge,
        action_call="http.POST /refunds",
    ),
    Scenario("execution lost", {"case": "two input requests"}, respond=_lose_execution),
    Scenario("no execution left", {"case": "two input requests"}, respond=_lose_last_execution),
    Scenario("swept during a call", {"case": "charge"}, prepare=_sweep_during_charge),
    Scenario("swept", {"case": "two input requests"}, respond=_sweep_and_answer),
    Scenario("handover failed", {"case": "two input requests"}, prepare=_fail_handover),
    Scenario("not resumed", {"case": "approval"}, respond=_answer_without_resume),
    Scenario("aborted", {"case": "two input requests"}, respond=_abort),
    Scenario("MCP tools", {"case": "tools"}, agent="desk"),
    Scenario("MCP elicitation", {"case": "elicitation"}, action_call=_BOOK, agent="desk"),
    Scenario(
        "MCP elicitation after the state",
        {"case": "elicitation"},
        respond=_answer_after_state,
        action_call=_BOOK,
        agent="desk",
    ),
    Scenario("thread", prepare=_thread("Hello")),
    Scenario("large in a thread", prepare=_thread("large")),
    Scenario("rejected in a thread", prepare=_thread("rejected")),
)


def scenario(name: str) -> Scenario:
    """Return the scenario with this name."""
    return next(one for one in SCENARIOS if one.name == name)
