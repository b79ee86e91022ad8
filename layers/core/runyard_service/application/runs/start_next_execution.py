"""Continue a run in another execution, which first waits if the run needs a person.

    run_step        step n ends ──▶ StartExecution {id}-{n+1} ──▶ execution n ends
    request_input   records n+1, with the input requests if any ──▶ waits, or ends the wait

The next execution starts before it is recorded, which saves a write. Until it is recorded, the
sweep finds an ended execution on record, and the next execution by its name. If the worker is lost
before the start, Step Functions retries the step. Nothing of this is an event of the log.
"""

from runyard_service.adapters.step_functions import NOTHING_TO_WAIT_FOR, Orchestrator, WaitSpec
from runyard_service.application.steps.advance_run import AdvanceResult
from runyard_service.domain.runs import Execution


def start_next_execution(
    orchestrator: Orchestrator, execution: Execution, advance: AdvanceResult
) -> None:
    """Start the execution after `execution`, which ends with `advance`, unless the run has ended.

    Raise OrchestratorUnavailableError if Step Functions fails the call.
    """
    if advance.outcome == "needs_input":
        wait = WaitSpec(advance.wait_seconds, advance.limit, advance.last_sequence)
        orchestrator.start(execution.next, wait)
    elif advance.outcome == "more":
        orchestrator.start(execution.next, NOTHING_TO_WAIT_FOR)
