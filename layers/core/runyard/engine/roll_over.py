"""Let a run go on in a new execution before the old one's history is full.

The next execution is recorded first, then started by the state machine, then the old one ends:

    run_step   execution: n → n+1 ──▶ "roll_over"
    machine                              └─▶ StartExecution {id}-{n+1} ──▶ execution n ends

Lost in between, the sweep finds an execution that has ended and one that is recorded and missing,
and starts the latter. Nothing of it is an event: to whoever follows the run, nothing happened.
"""

from runyard.domain.errors import SupersededError
from runyard.domain.runs import Run
from runyard.store.dynamo import ConditionFailedError
from runyard.store.stores import Stores


def next_execution(stores: Stores, run: Run, execution: str, *, is_full: bool) -> str:
    """The name of the execution that carries the run from now on; empty where it is `execution`.

    `is_full` asks for a new one. Raises SupersededError where another writer was first.
    """
    if not execution:
        return ""  # An execution of an older release, which does not say its name.
    if run.execution_name != execution:
        # Recorded by an attempt whose answer was lost, or by the sweep: starting it is harmless.
        return run.execution_name
    if not is_full:
        return ""
    following = run.model_copy(update={"execution": run.execution + 1})
    try:
        stores.runs.go_on_in(run, following.execution)
    except ConditionFailedError as error:
        raise SupersededError(run.id) from error
    return following.execution_name
