"""The rules of `test_interleavings.py`, drawn with weights under which most runs get far.

Hypothesis looks for the odd and the small, and shrinks what it finds; these games look for what
only shows late in a run. A seed always draws the same moves.
"""

import os
import random
from collections.abc import Callable

import pytest

from tests.simulation.agents import CASES, SECONDS_TO_ANSWER
from tests.simulation.lossy_client import FailureMode, FailurePlan
from tests.simulation.simulation import Simulation
from tests.simulation.test_interleavings import MAX_RUNS, Interleavings

GAMES = int(os.environ.get("RUNS_EXAMPLES", "8"))
MOVES = 60
_LOSSES: tuple[FailureMode, ...] = ("lost before", "lost after")
_HOLDS: tuple[FailureMode, ...] = ("held before", "held after")


def play(rules: Interleavings, chance: random.Random) -> None:
    """One move, drawn by weight among those that can be made now."""
    pick = chance.randrange(8)

    def plan(*mishaps: FailureMode) -> FailurePlan:
        is_spared = chance.random() < 0.5
        return (
            FailurePlan()
            if is_spared
            else FailurePlan(chance.randint(1, 5), chance.choice(mishaps))
        )

    lost = plan(*_LOSSES)
    game, only = rules.game, chance.choice([None, None, pick])
    trouble = chance.choice(["times out", "is aborted", "vanishes"])
    seconds = chance.choice([1, SECONDS_TO_ANSWER, 2 * SECONDS_TO_ANSWER])
    moves: list[tuple[float, bool, Callable[[], None]]] = [
        (40, bool(rules._movable()), lambda: rules.move(pick, 0, plan(*_LOSSES, *_HOLDS))),
        (15, game.machine.is_waiting, lambda: rules.answer(pick, chance.randrange(8), only, lost)),
        (5, bool(game.held), lambda: rules.release(pick)),
        (2, game.machine.is_waiting, lambda: rules.time_passes(seconds)),
        (4, True, lambda: rules.lose_an_execution(pick, trouble)),
        (4, True, lambda: rules.sweep(lost)),
        (4, True, lambda: rules.deliver_twice(pick, chance.random() < 0.5, lost)),
        (1, True, lambda: rules.end_from_outside(pick, chance.randint(1, 2), lost)),
        (
            3,
            len(game.runs) < MAX_RUNS,
            lambda: rules.another_run(chance.choice(CASES), chance.random() < 0.3),
        ),
    ]
    possible = [(weight, move) for weight, is_possible, move in moves if is_possible]
    weights, choices = zip(*possible, strict=True)
    chance.choices(choices, weights)[0]()


@pytest.mark.usefixtures("moved_clock")
@pytest.mark.parametrize("seed", range(GAMES))
def test_no_game_breaks_a_run(new_game: Callable[[], Simulation], seed: int) -> None:
    chance = random.Random(seed)
    rules = Interleavings()
    rules.game = new_game()
    rules.one_run(chance.choice(CASES), chance.random() < 0.3)
    for _ in range(MOVES):
        play(rules, chance)
    rules.teardown()
