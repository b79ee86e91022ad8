"""A fault on purpose: at one call to the outside the process dies, or the connection is lost.

Only tests ask for one. `outside_calls.py` puts this between the service and the outside; nothing
of the service knows of it, and without the variable below nothing of it is there.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn, get_args

# Names a file. As long as it is there, the first process that comes to the call which is named in
# it takes the file away and meets the fault.
FILE_VARIABLE = "RUNYARD_FAULT_FILE"

Edge = Literal["before", "after"]
# The process dies; this sending alone is lost, and the client's own retry gets through; the call is
# lost with all of its retries.
Effect = Literal["kill", "cut", "cut_off"]
EDGES: tuple[Edge, ...] = get_args(Edge)
EFFECTS: tuple[Effect, ...] = get_args(Effect)


class ProcessKilledError(BaseException):
    """The process is dead: nothing catches this, as nothing catches a `kill -9`."""


@dataclass(frozen=True)
class Fault:
    """What happens, and at which of the calls of this name: from 1."""

    call: str
    edge: Edge
    effect: Effect
    occurrence: int = 1

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """The fault that `str` wrote. Raises ValueError."""
        call, edge, effect, occurrence = text.strip().rsplit(":", 3)
        if edge not in EDGES or effect not in EFFECTS:
            raise ValueError(f"{text!r} is not <call>:<edge>:<effect>:<occurrence>")
        return cls(call, edge, effect, int(occurrence))

    def __str__(self) -> str:
        """As it is written into the file."""
        return f"{self.call}:{self.edge}:{self.effect}:{self.occurrence}"


@dataclass
class InterceptedCall:
    """One call of a process, on its way out and back; `places` are the lines that it comes from."""

    process: "Process"
    name: str
    occurrence: int
    places: tuple[tuple[str, int], ...]
    fault: Fault | None
    hits: int = 0
    has_come_back: bool = False

    def should_fail(self, edge: Edge) -> bool:
        """Whether something happens at this edge, this time."""
        fault = self.fault
        if fault is None or fault.edge != edge:
            return False
        return not (fault.effect == "cut" and self.hits)

    def at_point(self, edge: Edge, lost: Callable[[], Exception]) -> None:
        """Go on, or die, or raise what the client raises where its connection is lost."""
        self.process.check_alive()
        self.has_come_back = self.has_come_back or edge == "after"
        if not self.should_fail(edge):
            return
        assert self.fault is not None, "there is something to meet"
        self.hits += 1
        self.process.has_met = True
        if self.fault.effect == "kill":
            self.process.die()
        raise lost()


@dataclass
class Process:
    """A process as the outside sees it: what it calls, and the fault that it meets.

    `counted` may be shared by processes that do one work one after the other.
    """

    fault: Fault | None = None
    counted: Counter[str] = field(default_factory=Counter)
    calls: list[InterceptedCall] = field(default_factory=list)
    has_met: bool = False
    is_dead: bool = False

    def begin_call(self, name: str, places: tuple[tuple[str, int], ...] = ()) -> InterceptedCall:
        """A call begins."""
        self.check_alive()
        self.counted[name] += 1
        occurrence = self.counted[name]
        crossing = InterceptedCall(self, name, occurrence, places, self._fault_of(name, occurrence))
        self.calls.append(crossing)
        return crossing

    def _fault_of(self, name: str, occurrence: int) -> Fault | None:
        fault = self.fault
        return fault if fault and (fault.call, fault.occurrence) == (name, occurrence) else None

    def check_alive(self) -> None:
        """A thread that outlives its process in a test does nothing any more."""
        if self.is_dead:
            raise ProcessKilledError

    def die(self) -> NoReturn:
        """End at this very point."""
        self.is_dead = True
        raise ProcessKilledError


class SelfProcess(Process):
    """This process itself; it takes its fault from a file, and really dies of it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def begin_call(self, name: str, places: tuple[tuple[str, int], ...] = ()) -> InterceptedCall:
        """A call begins; nothing is kept of it."""
        return InterceptedCall(self, name, 1, places, self._taken(name))

    def _taken(self, name: str) -> Fault | None:
        try:
            fault = Fault.parse(self._file.read_text(encoding="utf-8"))
            if fault.call != name:
                return None
            self._file.unlink()  # Of several processes, one succeeds.
        except FileNotFoundError:
            return None
        return fault

    def die(self) -> NoReturn:
        """Without a word, as by `kill -9`."""
        os._exit(137)
