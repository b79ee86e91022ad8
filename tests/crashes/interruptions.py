"""Interruptions of a run: a fault, or a concurrent action; and the recoveries that they need."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.fault_injection.faults import Fault, InterceptedCall, Process

# A caller without a response repeats the request at once, or never.
Caller = Literal["persistent", "gone"]


@dataclass(frozen=True)
class FaultAt:
    """A fault in one of the use cases."""

    use_case: str
    fault: Fault

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.use_case}: {self.fault}"


@dataclass(frozen=True)
class Interruption:
    """A concurrent action just before one of the calls of a use case."""

    use_case: str
    call: str
    occurrence: int
    action: Callable[[], None]


@dataclass
class InterruptedProcess(Process):
    """A process with a concurrent action before one of its calls."""

    interruption: Interruption | None = None

    def start_call(self, name: str, lines: tuple[tuple[str, int], ...] = ()) -> InterceptedCall:
        """Run the concurrent action before the call."""
        call = super().start_call(name, lines)
        due = self.interruption
        if due and (due.call, due.occurrence) == (name, call.occurrence):
            due.action()
        return call


@dataclass
class Recoveries:
    """The number of recoveries by component; an undisturbed run needs few or none."""

    state_machine: int = 0
    caller: int = 0
    sweep: int = 0
    rule: int = 0
    timer: int = 0
    late_sweep: int = 0
    person: int = 0
