"""The rules of `test_interleavings.py`, selected by weights with which most runs get far.

Hypothesis finds rare and small examples, and shrinks them. These simulations find errors that occur
only late in a run. A seed always selects the same rules.
"""

import os
import random
from collections.abc import Callable

import pytest

from tests.simulation.agents import CASES, SECONDS_TO_ANSWER
from tests.simulation.lossy_client import FailureMode, FailurePlan
from tests.simulation.simulation import Simulation
from tests.simulation.test_interleavings import LOST, MAX_RUNS, SUSPENDED, Interleavings

SIMULATIONS = int(os.environ.get("RUNS_EXAMPLES", "8"))
RULES_PER_SIMULATION = 100


def apply_rule(rules: Interleavings, chance: random.Random) -> None:
    """Apply one of the rules that are possible now, selected by weight."""
    pick = chance.randrange(8)

    def plan(*modes: FailureMode) -> FailurePlan:
        if chance.random() < 0.5:
            return FailurePlan()
        return FailurePlan(chance.randint(1, 5), chance.choice(modes))

    lost = plan(*LOST)
    simulation, only = rules.simulation, chance.choice([None, None, pick])
    failure = chance.choice(["times out", "is aborted", "vanishes"])
    seconds = chance.choice([1, SECONDS_TO_ANSWER, 2 * SECONDS_TO_ANSWER])
    is_waiting = bool(simulation.waiting_executions)
    weighted: list[tuple[float, bool, Callable[[], None]]] = [
        (40, rules.can_advance(), lambda: rules.advance(pick, 0, plan(*LOST, *SUSPENDED))),
        (15, is_waiting, lambda: rules.answer(pick, chance.randrange(8), only, lost)),
        (5, bool(simulation.suspended), lambda: rules.resume(pick)),
        (2, is_waiting, lambda: rules.pass_time(seconds)),
        (4, True, lambda: rules.fail_execution(pick, failure)),
        (4, True, lambda: rules.sweep(lost)),
        (4, True, lambda: rules.deliver_duplicate(pick, chance.random() < 0.5, lost)),
        (3, True, lambda: rules.make_busy(chance.randint(1, 4))),
        (1, True, lambda: rules.end_run(pick, chance.randint(1, 2), lost)),
        (
            3,
            len(simulation.runs) < MAX_RUNS,
            lambda: rules.start_another_run(chance.choice(CASES), chance.random() < 0.3),
        ),
    ]
    possible = [(weight, apply) for weight, is_possible, apply in weighted if is_possible]
    weights, choices = zip(*possible, strict=True)
    chance.choices(choices, weights)[0]()


@pytest.mark.usefixtures("fake_clock")
@pytest.mark.parametrize("seed", range(SIMULATIONS))
def test_no_simulation_breaks_a_run(new_simulation: Callable[[], Simulation], seed: int) -> None:
    chance = random.Random(seed)
    rules = Interleavings()
    rules.simulation = new_simulation()
    rules.start_first_run(chance.choice(CASES), chance.random() < 0.3)
    for _ in range(RULES_PER_SIMULATION):
        apply_rule(rules, chance)
    rules.teardown()
