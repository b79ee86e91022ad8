"""The orchestrator of a local stack."""

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.step_functions import Orchestrator


def make_orchestrator(stack: DevStack) -> Orchestrator:
    """Return an orchestrator of both state machines; it connects at first use."""
    return Orchestrator(
        lambda: stack.client("stepfunctions"),
        stack.environment["RUN_STATE_MACHINE_ARN"],
        stack.environment["RESUME_STATE_MACHINE_ARN"],
    )
