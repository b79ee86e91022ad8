"""What comes between a run and its end: a fault, or somebody else; and who then has to help."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.fault_injection.faults import Fault, InterceptedCall, Process

# A caller who got no answer asks again at once; or never, and the platform has to do without.
Caller = Literal["stubborn", "gone"]


@dataclass(frozen=True)
class FaultAt:
    """A fault in one of the verbs."""

    verb: str
    fault: Fault

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.verb}: {self.fault}"


@dataclass(frozen=True)
class Meanwhile:
    """What somebody else does just before one of the calls of a verb."""

    verb: str
    call: str
    occurrence: int
    act: Callable[[], None]


@dataclass
class InterruptedProcess(Process):
    """A process that somebody else comes in between of."""

    meanwhile: Meanwhile | None = None

    def begin_call(self, name: str, places: tuple[tuple[str, int], ...] = ()) -> InterceptedCall:
        """A call begins, but for what comes first."""
        crossing = super().begin_call(name, places)
        wanted = self.meanwhile
        if wanted and (wanted.call, wanted.occurrence) == (name, crossing.occurrence):
            wanted.act()
        return crossing


@dataclass
class Helpers:
    """Who had to do something that an undisturbed run does not need."""

    machine: int = 0
    caller: int = 0
    sweep: int = 0
    rule: int = 0
    timer: int = 0
    late_sweep: int = 0
    person: int = 0
