"""What is interrupted: runs that between them make every call to the outside that there is."""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.agents.definitions.models import Limits, Snapshot
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.application.maintenance.sweep_runs import MAX_LOST_EXECUTIONS
from runyard_service.application.runs.journal import Journal
from runyard_service.application.runs.start_run import NewRun
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.threads import Thread
from tests.crashes.scenario_run import ScenarioRun

_Act = Callable[[ScenarioRun], None]


def _answer_all(journey: ScenarioRun) -> None:
    for request in journey.open_requests():
        if journey.is_in_doubt(request):
            journey.resolve(request)
        elif request.type == "human_feedback":
            journey.answer(request, feedback=request.prompt)
        else:
            edits = {"amount": 1} if "amount" in request.editable_params else None
            journey.answer(request, is_approved=True, params=edits)


def _nothing(_: ScenarioRun) -> None:
    """Nobody prepares anything."""


def _expire(journey: ScenarioRun) -> None:
    """Nobody answers in time, and the state machine's timer tells."""
    time.sleep(0.2)
    for execution in journey.executions:
        if execution.is_waiting:
            journey.world.machine.time_out(execution)


def _vanish(journey: ScenarioRun) -> None:
    """The execution is lost, once; then somebody answers the one that takes its place."""
    if not journey.notes.get("vanished"):
        journey.notes["vanished"] = True
        for execution in journey.executions:
            del journey.world.machine.executions[execution.name]
        journey.sweep()
        return
    _answer_all(journey)


def _vanish_for_good(journey: ScenarioRun) -> None:
    """The last of the executions that a run is given is lost, too."""
    journal = Journal.open(journey.world.stores, journey.run_id)
    while journal.history.lost_executions < MAX_LOST_EXECUTIONS:
        journal.append([journal.recovered_event("execution_ended")])
    for execution in journey.executions:
        del journey.world.machine.executions[execution.name]
    journey.sweep()


def _no_time(journey: ScenarioRun) -> None:
    """The first worker has no time for a step, and lets the next execution go on."""
    journey.world.short_turns = 1


def _hand_over_in_vain(journey: ScenarioRun) -> None:
    """The execution that is to follow is never started by the worker."""
    journey.world.machine.not_handed_over.add(journey.run_id)


def _look_and_answer(journey: ScenarioRun) -> None:
    """The sweep comes by while the run waits, and leaves it alone."""
    journey.sweep()
    _answer_all(journey)


def _answer_in_vain(journey: ScenarioRun) -> None:
    """Step Functions cannot be reached while somebody answers."""
    journey.world.machine.refusals = 1
    _answer_all(journey)


def _abort(journey: ScenarioRun) -> None:
    """Somebody stops the execution by hand."""
    for execution in journey.executions:
        journey.world.machine.stop(execution)


def _cancel_at_work(journey: ScenarioRun) -> None:
    journey.world.till.during_charge = lambda: journey.cancel(concurrent=True)


def _sweep_at_work(journey: ScenarioRun) -> None:
    journey.world.till.during_charge = lambda: journey.sweep(concurrent=True)


def _files(journey: ScenarioRun) -> None:
    """One file is there, another one was announced and uploaded."""
    world, project = journey.world, _project(journey)
    ready = world.stores.files.save(project, _upload())
    announced, _ = world.stores.files.announce(project, "later.txt", 5, "text/plain")
    place = announced.key.replace("files/", "uploads/", 1)
    world.s3.put_object(Bucket=world.bucket, Key=place, Body=b"later")
    journey.notes["file_ids"] = (ready.id, announced.id)


def _thread(content: str) -> _Act:
    def prepare(journey: ScenarioRun) -> None:
        at, thread_id = timestamp(), new_id()
        project = _project(journey)
        thread = Thread(id=thread_id, project_id=project, org_id="o", created_at=at, updated_at=at)
        journey.world.stores.threads.create(thread)
        journey.world.stores.messages.add(thread_id, "user", content)
        journey.notes["thread_id"] = thread_id

    return prepare


def _project(journey: ScenarioRun) -> str:
    """A project of its own: what others spend and start does not count."""
    return f"crashes-{journey.run_id}"


def _upload() -> NewFile:
    return NewFile("note.txt", "text/plain", io.BytesIO(b"hello"))


@lru_cache
def _snapshot(agent: str) -> Snapshot:
    return Registry(AgentDirectory(Path("tests/agents"))).agent(agent)


@dataclass(frozen=True)
class Scenario:
    """A run of `tests/agents/crashes.yaml`, and who does what to it.

    Of each verb, so many calls are `interrupted`: later ones may only repeat them. What somebody
    does in the middle of the call `during` is not done where that call does not get through.
    """

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    prepare: _Act = _nothing
    act: _Act = _answer_all
    has_uploads: bool = False
    max_live_runs: int = 0
    interrupted: int = 1000
    during: str = ""
    agent = "crashes"

    def when_it_waits(self, journey: ScenarioRun) -> None:
        """The run asks something: an interrupted call is decided about before anything else."""
        doubts = [one for one in journey.open_requests() if journey.is_in_doubt(one)]
        for request in doubts:
            journey.resolve(request)
        if not doubts:
            self.act(journey)

    def wanted(self, journey: ScenarioRun) -> tuple[Snapshot, NewRun]:
        """What is started."""
        snapshot = _snapshot(self.agent)
        definition = snapshot.definition.model_copy(update={"limits": self.limits})
        wanted = NewRun(
            org_id="o",
            project_id=_project(journey),
            input=self.input,
            run_id=journey.run_id,
            thread_id=journey.notes.get("thread_id"),
            file_ids=journey.notes.get("file_ids", ()),
            uploads=[_upload()] if self.has_uploads else (),
            max_active_runs=self.max_live_runs,
            max_org_active_runs=self.max_live_runs,
        )
        return snapshot.model_copy(update={"definition": definition}), wanted


def _case(name: str, **options: Any) -> Scenario:
    return Scenario(name, {"case": name}, **options)


SCENARIOS = (
    _case("plain", max_live_runs=1000),
    *map(_case, ("lookup", "note", "charge", "count", "today", "parallel")),
    _case("questions"),
    _case("three questions"),
    Scenario("out of time", {"case": "lookup"}, prepare=_no_time),
    _case("approval"),
    _case("expiry", act=_expire),
    _case("refused"),
    _case("unavailable", interrupted=12),
    _case("large"),
    _case("limit", limits=Limits(steps=1, wall_clock_seconds=3600, on_limit="ask")),
    Scenario("capped", {"case": "limit"}, Limits(usd_per_day=Decimal(100))),
    Scenario("over the cap", {"case": "plain"}, Limits(usd_per_day=Decimal("0.01"))),
    Scenario("capped and refused", {"case": "refused"}, Limits(usd_per_day=Decimal(100))),
    Scenario("files", {"case": "plain"}, prepare=_files, has_uploads=True),
    Scenario("a large input", {"case": "plain", "text": "x" * 120_000}),
    Scenario("canceled while it waits", {"case": "questions"}, act=ScenarioRun.cancel),
    Scenario(
        "canceled at work",
        {"case": "charge"},
        prepare=_cancel_at_work,
        during="http.POST /refunds",
    ),
    Scenario("vanished", {"case": "questions"}, act=_vanish),
    Scenario("given up", {"case": "questions"}, act=_vanish_for_good),
    Scenario("swept at work", {"case": "charge"}, prepare=_sweep_at_work),
    Scenario("swept", {"case": "questions"}, act=_look_and_answer),
    Scenario("not handed over", {"case": "questions"}, prepare=_hand_over_in_vain),
    Scenario("not resumed", {"case": "approval"}, act=_answer_in_vain),
    Scenario("aborted", {"case": "questions"}, act=_abort),
    Scenario("thread", prepare=_thread("Hello")),
    Scenario("large in a thread", prepare=_thread("large")),
    Scenario("refused in a thread", prepare=_thread("refused")),
)


def scenario(name: str) -> Scenario:
    """The one of this name."""
    return next(one for one in SCENARIOS if one.name == name)
