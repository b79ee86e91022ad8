"""Let a run go on in another execution, which begins with a wait where a person is needed.

    run_step        turn n ends ──▶ StartExecution {id}-{n+1} ──▶ execution n ends
    request_input   records n+1, with the questions if there are any ──▶ waits, or ends the wait

Started first, then recorded: so it costs no write of its own, and until then whoever looks for the
run's execution finds one that has ended, and the one behind it. Lost before the start, the turn is
tried again. Nothing of it is an event: to whoever follows the run, nothing happened.
"""

from runyard_service.adapters.step_functions import NOTHING_TO_WAIT_FOR, Orchestrator, WaitSpec
from runyard_service.application.steps.advance_run import AdvanceResult
from runyard_service.domain.runs import Execution


def start_next_execution(
    orchestrator: Orchestrator, execution: Execution, advance: AdvanceResult
) -> None:
    """Start what follows `execution`, whose turn came so far; nothing where the run has ended.

    Raises OrchestratorUnavailableError.
    """
    if advance.outcome == "needs_input":
        wait = WaitSpec(advance.wait_seconds, advance.limit, advance.limit_at)
        orchestrator.start(execution.next, wait)
    elif advance.outcome == "more":
        orchestrator.start(execution.next, NOTHING_TO_WAIT_FOR)
