"""What no checker of the states language asks: does every task end, does every error arrive?"""

import re
from collections.abc import Iterator
from typing import Any

from runyard.domain import errors
from runyard.engine import orchestrator
from tests.template.repository import ROOT, Translated

# The last resort catches nothing: there is nowhere to go. The rule on the execution's status is
# what follows it.
LAST_RESORT = "CloseRun"
# What it fails to start is recorded, and the sweep starts it: no reason to end the run.
HANDOVER = "GoOnInAnotherExecution"
MAX_HISTORY_ENTRIES = 25_000


def tasks(states: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: state for name, state in states.items() if state["Type"] == "Task"}


def test_every_task_has_a_timeout(states: dict[str, Any]) -> None:
    for name, task in tasks(states).items():
        assert {"TimeoutSeconds", "TimeoutSecondsPath"} & set(task), name


def test_every_task_is_retried_with_jitter(states: dict[str, Any]) -> None:
    for name, task in tasks(states).items():
        assert task["Retry"], name
        assert all(retry["JitterStrategy"] == "FULL" for retry in task["Retry"]), name


def test_every_task_but_the_last_resort_hands_what_fails_to_it(states: dict[str, Any]) -> None:
    for name, task in tasks(states).items():
        if name not in (LAST_RESORT, HANDOVER):
            assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert task["Catch"][-1]["Next"] == LAST_RESORT, name


def test_an_execution_rolls_over_before_its_history_is_full(
    states: dict[str, Any], translated: Translated
) -> None:
    """Entered, scheduled, started, submitted, ended, left; three more for each attempt lost."""
    entries = {
        name: 6 + 3 * sum(retry["MaxAttempts"] for retry in task["Retry"])
        for name, task in tasks(states).items()
    }
    turn = entries["AdvanceRun"] + len(("entered", "left")) + entries["WaitForInput"]
    turns = int(translated.variables("RunStepFunction")["EXECUTION_MAX_TURNS"])
    assert turns * turn + sum(entries.values()) < MAX_HISTORY_ENTRIES


def test_the_next_execution_is_started_by_name(states: dict[str, Any]) -> None:
    """Without one it would be another execution at every attempt."""
    assert states[HANDOVER]["Parameters"]["Name.$"] == "$.next_execution"
    [twin, *_] = states[HANDOVER]["Retry"]
    assert (twin["ErrorEquals"], twin["MaxAttempts"]) == (
        ["StepFunctions.ExecutionAlreadyExistsException"],
        0,
    )


def test_the_last_resort_finds_the_error_that_it_reads(states: dict[str, Any]) -> None:
    """A path that is not there fails the execution, so every way there has to leave $.error."""
    assert states[LAST_RESORT]["Parameters"]["Payload"]["error.$"] == "$.error"
    without_error = [name for name, way in ways_to(states, LAST_RESORT) if not leaves_error(way)]
    assert without_error == []


def ways_to(states: dict[str, Any], target: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state, catch or choice that leads to the target."""
    for name, state in states.items():
        if target in (state.get("Next"), state.get("Default")):
            yield name, state
        for way in (*state.get("Catch", ()), *state.get("Choices", ())):
            if way["Next"] == target:
                yield name, way


def leaves_error(way: dict[str, Any]) -> bool:
    return way.get("ResultPath") == "$.error"


def test_the_errors_that_are_named_exist(states: dict[str, Any]) -> None:
    """Lambda reports the class's name; a name that no class has is never matched."""
    ours = {*vars(errors), *vars(orchestrator)}
    named = {
        error
        for task in tasks(states).values()
        for rule in (*task["Retry"], *task.get("Catch", ()))
        for error in rule["ErrorEquals"]
        if "." not in error
    }
    assert named
    assert named - ours == set()


def test_the_machine_waits_for_a_function_as_long_as_it_may_run(
    states: dict[str, Any], translated: Translated
) -> None:
    for state, function in (("AdvanceRun", "RunStepFunction"), ("CloseRun", "CloseRunFunction")):
        timeout = translated.properties(function)["Timeout"]
        assert states[state]["TimeoutSeconds"] >= timeout, state


def test_every_substitution_is_given_and_used(translated: Translated) -> None:
    definition = (ROOT / "statemachines" / "run.asl.json").read_text()
    given = translated.properties("RunMachine")["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", definition)) == set(given)


def test_an_execution_that_dies_is_closed_by_its_status(translated: Translated) -> None:
    pattern = translated.properties("CloseRunFunctionExecutionDied")["EventPattern"]
    assert pattern["detail"] == {
        "stateMachineArn": [{"Ref": "RunMachine"}],
        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
    }


def test_what_passes_through_the_machine_is_not_logged(translated: Translated) -> None:
    logging = translated.properties("RunMachine")["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
