"""The state machine, played: each execution stands somewhere, and moves when it is told to.

It does what `statemachines/run.asl.json` says: AdvanceRun is repeated when it fails, WaitForInput
has a new token at each attempt, ends with its token or its timer, and goes back to AdvanceRun.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from runyard.domain.runs import Run
from runyard.engine.advance_run import Advance
from runyard.engine.orchestrator import ExecutionState, Orchestrator

Place = Literal["AdvanceRun", "WaitForInput", "waiting", "ended"]


@dataclass
class Execution:
    """One execution. `moves` tells an invocation whether what it was made for is still true."""

    run_id: str
    place: Place = "AdvanceRun"
    needs: Advance = field(default_factory=lambda: Advance("needs_input"))
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


class PlayedMachine(Orchestrator):
    """The executions, by name, as the engine's calls see and change them."""

    def __init__(self) -> None:
        self.executions: dict[str, Execution] = {}
        self._tokens = (f"token {number}" for number in count())

    @property
    def is_waiting(self) -> bool:
        """Whether an execution waits for a person."""
        return any(each.place == "waiting" for each in self.executions.values())

    def new_token(self, execution: Execution) -> str:
        """The token of an attempt at WaitForInput that begins now."""
        execution.token = next(self._tokens)
        return execution.token

    def start(self, run: Run) -> None:
        """A name that was used before starts nothing."""
        self.executions.setdefault(run.execution_name, Execution(run.id))

    def state(self, run: Run) -> ExecutionState:
        """As Step Functions would tell it."""
        execution = self.executions.get(run.execution_name)
        if execution is None:
            return "missing"
        return "ended" if execution.place == "ended" else "running"

    def resume(self, token: str) -> None:
        """End the attempt that has this token; one that is over is over."""
        for execution in self.executions.values():
            if execution.token == token and execution.place in ("WaitForInput", "waiting"):
                execution.token = ""
                execution.move("AdvanceRun")

    def stop(self, run: Run) -> None:
        """Stop the run's execution."""
        if execution := self.executions.get(run.execution_name):
            execution.move("ended")
