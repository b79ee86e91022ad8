"""The state machines, played: each execution stands somewhere, and moves when it is told to.

It does what the files in `statemachines/` say: a run's first execution begins with AdvanceRun, each
later one with WaitForInput. AdvanceRun is repeated when it fails and is the end when it does not;
WaitForInput has a new token at each attempt, ends with its token or its timer, and goes on to
AdvanceRun.
"""

from dataclasses import dataclass
from itertools import count
from typing import Literal

from runyard_service.adapters.step_functions import (
    NOTHING_TO_WAIT_FOR,
    ExecutionState,
    Orchestrator,
    WaitSpec,
)
from runyard_service.domain.runs import Execution

Place = Literal["AdvanceRun", "WaitForInput", "waiting", "ended"]


@dataclass
class SimulatedExecution:
    """One execution. `moves` tells an invocation whether what it was made for is still true."""

    execution: Execution
    wait: WaitSpec
    place: Place
    token: str = ""
    times_out_at: float = 0
    moves: int = 0

    def can_move(self, now: float) -> bool:
        """Whether it does something next; else it waits, or is over. `now` is in seconds."""
        return self.place in ("AdvanceRun", "WaitForInput") or (
            self.place == "waiting" and self.times_out_at <= now
        )

    def move(self, place: Place) -> None:
        """Go there; whatever was under way counts no more."""
        self.place = place
        self.moves += 1


class SimulatedStateMachine(Orchestrator):
    """The executions, by name, as the engine's calls see and change them."""

    def __init__(self) -> None:
        self.executions: dict[str, SimulatedExecution] = {}
        self._tokens = (f"token {number}" for number in count())

    @property
    def is_waiting(self) -> bool:
        """Whether an execution waits for a person."""
        return any(each.place == "waiting" for each in self.executions.values())

    def newest_of(self, run_id: str) -> SimulatedExecution:
        """The last execution that was started for the run."""
        return max(
            (one for one in self.executions.values() if one.execution.run_id == run_id),
            key=lambda one: one.execution,
        )

    def new_token(self, played: SimulatedExecution) -> str:
        """The token of an attempt at WaitForInput that begins now."""
        played.token = next(self._tokens)
        return played.token

    def start(self, execution: Execution, wait: WaitSpec = NOTHING_TO_WAIT_FOR) -> None:
        """A name that was used before starts nothing."""
        first: Place = "WaitForInput" if execution.number else "AdvanceRun"
        self.executions.setdefault(execution.name, SimulatedExecution(execution, wait, first))

    def state(self, execution: Execution) -> ExecutionState:
        """As Step Functions would tell it."""
        played = self.executions.get(execution.name)
        if played is None:
            return "missing"
        return "ended" if played.place == "ended" else "running"

    def resume(self, token: str) -> None:
        """End the attempt that has this token; one that is over is over."""
        for played in self.executions.values():
            if played.token == token and played.place in ("WaitForInput", "waiting"):
                played.token = ""
                played.move("AdvanceRun")

    def stop(self, execution: Execution) -> None:
        """Stop it."""
        if played := self.executions.get(execution.name):
            played.move("ended")
