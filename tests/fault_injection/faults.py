"""An injected fault: at one external call the process dies, or the connection is lost.

Only tests inject faults. `intercept.py` installs them around the clients of the service, and only
if the variable below is set. The service does not depend on this module.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn, get_args

# The path of a file with a fault. The first process that reaches the call in the file deletes the
# file and has the fault.
FILE_VARIABLE = "RUNYARD_FAULT_FILE"

Edge = Literal["before", "after"]
# kill: the process dies. drop_once: one request is lost, and the retry of the client succeeds.
# drop: the request and all its retries are lost.
Effect = Literal["kill", "drop_once", "drop"]
EDGES: tuple[Edge, ...] = get_args(Edge)
EFFECTS: tuple[Effect, ...] = get_args(Effect)


class ProcessKilledError(BaseException):
    """The process is dead. No code catches this, as with `kill -9`."""


@dataclass(frozen=True)
class Fault:
    """An effect at one call; `occurrence` counts the calls of this name from 1."""

    call: str
    edge: Edge
    effect: Effect
    occurrence: int = 1

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Return the fault from its text, as `str` writes it. Raise ValueError."""
        call, edge, effect, occurrence = text.strip().rsplit(":", 3)
        if edge not in EDGES or effect not in EFFECTS:
            raise ValueError(f"{text!r} is not <call>:<edge>:<effect>:<occurrence>")
        return cls(call, edge, effect, int(occurrence))

    def __str__(self) -> str:
        """Return the fault as the file contains it."""
        return f"{self.call}:{self.edge}:{self.effect}:{self.occurrence}"


@dataclass
class InterceptedCall:
    """One external call of a process; `lines` are the file and line of each caller."""

    process: "Process"
    name: str
    occurrence: int
    lines: tuple[tuple[str, int], ...]
    fault: Fault | None
    hits: int = 0
    has_returned: bool = False

    def should_fail(self, edge: Edge) -> bool:
        """Return True if the fault occurs at this edge of this attempt."""
        fault = self.fault
        if fault is None or fault.edge != edge:
            return False
        return not (fault.effect == "drop_once" and self.hits)

    def apply_fault(self, edge: Edge, lost: Callable[[], Exception]) -> None:
        """Continue, or die, or raise the error of a client whose connection is lost."""
        self.process.check_alive()
        self.has_returned = self.has_returned or edge == "after"
        if not self.should_fail(edge):
            return
        assert self.fault is not None, "should_fail requires a fault"
        self.hits += 1
        self.process.fault_occurred = True
        if self.fault.effect == "kill":
            self.process.die()
        raise lost()


@dataclass
class Process:
    """A process with its external calls and its fault.

    Consecutive processes of one use case share `counts`, which has the number of calls by name.
    """

    fault: Fault | None = None
    counts: Counter[str] = field(default_factory=Counter)
    calls: list[InterceptedCall] = field(default_factory=list)
    fault_occurred: bool = False
    is_dead: bool = False

    def start_call(self, name: str, lines: tuple[tuple[str, int], ...] = ()) -> InterceptedCall:
        """Record the start of a call, and return it."""
        self.check_alive()
        self.counts[name] += 1
        occurrence = self.counts[name]
        call = InterceptedCall(self, name, occurrence, lines, self._fault_of(name, occurrence))
        self.calls.append(call)
        return call

    def _fault_of(self, name: str, occurrence: int) -> Fault | None:
        fault = self.fault
        return fault if fault and (fault.call, fault.occurrence) == (name, occurrence) else None

    def check_alive(self) -> None:
        """Raise ProcessKilledError in a thread that outlives its process in a test."""
        if self.is_dead:
            raise ProcessKilledError

    def die(self) -> NoReturn:
        """Kill the process at this call."""
        self.is_dead = True
        raise ProcessKilledError


class SelfProcess(Process):
    """This process itself, which reads its fault from a file and exits."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def start_call(self, name: str, lines: tuple[tuple[str, int], ...] = ()) -> InterceptedCall:
        """Return the call with the fault of the file; record nothing."""
        return InterceptedCall(self, name, 1, lines, self._take_fault(name))

    def _take_fault(self, name: str) -> Fault | None:
        try:
            fault = Fault.parse(self._file.read_text(encoding="utf-8"))
            if fault.call != name:
                return None
            self._file.unlink()  # Only one of several processes succeeds.
        except FileNotFoundError:
            return None
        return fault

    def die(self) -> NoReturn:
        """Exit at once, as with `kill -9`."""
        os._exit(137)
