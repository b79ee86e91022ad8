"""The actions of a simulation: an execution advances, a person answers, all runs end."""

from functools import partial
from typing import Any

from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.request_errors import ConflictError, InvalidRequestError
from runyard_service.domain.runs import Run
from tests.simulation.fake_clock import FakeClock
from tests.simulation.lossy_client import FailurePlan
from tests.simulation.simulation import Simulation
from tests.support.state_machines import Execution

# Lambda reports this error for a function that does not return in time. Its process may live on.
FUNCTION_TIMEOUT = "Sandbox.Timedout"


def advance_run(simulation: Simulation, run: Run, plan: FailurePlan) -> None:
    """Advance the newest execution of the run."""
    advance_execution(simulation, simulation.newest_execution(run.id), plan)


def advance_execution(simulation: Simulation, execution: Execution, plan: FailurePlan) -> None:
    """Run the next task of the execution, or time out its wait; do nothing while it waits.

    A task whose process is suspended times out first, as on Lambda.
    """
    machines = simulation.state_machines
    if execution.is_overdue:
        simulation.count("timeouts of waits")
        machines.time_out(execution)
        return
    if execution.task:
        machines.finish_task(execution, execution.task, FUNCTION_TIMEOUT)
    if not execution.is_runnable:
        return
    task = machines.start_task(execution)
    if task:
        finish = partial(machines.finish_task, execution, task)
        simulation.invoke(task.function, task.payload, plan, finish)


def answer_request(
    simulation: Simulation, run: Run, request: InputRequest, choice: int, plan: FailurePlan
) -> None:
    """Answer an input request with one of several answers; it may be closed or overdue."""
    simulation.count("answers")
    answer, recorded = _make_answer(request, choice)
    is_late = request.is_overdue or request.state in ("expired", "void")
    differs = request.id in simulation.accepted and simulation.accepted[request.id] != recorded
    orchestrator = simulation.orchestrator
    try:
        was_acknowledged = simulation.run_process(
            run.id,
            plan,
            lambda stores: submit_input(stores, orchestrator, run.id, answer, "user"),
        )
    except (ConflictError, InvalidRequestError):
        assert is_late or differs or request.state == "answered" or has_ended(simulation, run)
        return
    assert not is_late
    assert not differs
    if was_acknowledged:
        simulation.accepted[request.id] = recorded


def has_ended(simulation: Simulation, run: Run) -> bool:
    current = simulation.stores.runs.get(run.id)
    return current is not None and current.has_ended


def _make_answer(request: InputRequest, choice: int) -> tuple[Answer, dict[str, Any]]:
    """Return an answer, and the fields that its event must contain."""
    make = partial(Answer, type=request.type, request_id=request.id)
    if request.type == "approval_request":
        name = "new_limit" if request.tool_call_id is None else "amount"
        edits = {name: 50 + choice} if choice % 2 and name in request.editable_params else None
        approves = choice != 0
        recorded = {
            "is_approved": approves,
            "effective_params": {**request.params, **(edits or {})},
        }
        return make(is_approved=approves, params=edits), recorded
    feedback: Any = f"answer {choice % 2}"
    if choices := request.params.get("choices"):
        feedback = choices[choice % len(choices)]
    if "form" in request.params:
        feedback = {"n": choice % 2}
    return make(feedback=feedback), {"feedback": feedback}


def run_to_end(simulation: Simulation) -> None:
    """Run without failures until all runs end: the sweep recovers runs, and people answer."""
    for _ in range(60):
        simulation.sweep(FailurePlan())
        for execution in list(simulation.state_machines.executions.values()):
            advance_execution(simulation, execution, FailurePlan())
        active = [run for run in simulation.runs if not has_ended(simulation, run)]
        if not active:
            break
        for run in active:
            for request in simulation.stores.input_requests.open_of_run(run.id):
                if not request.is_overdue:
                    answer_request(simulation, run, request, 0, FailurePlan())
        FakeClock.move_forward(1)
    for run in simulation.runs:
        simulation.check(run)
        executions = simulation.state_machines.of_run(run.id)
        assert has_ended(simulation, run), (simulation.stores.runs.get(run.id), executions)
