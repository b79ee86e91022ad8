"""What no checker of the states language asks: does every task end, does every error arrive?"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from runyard_service.adapters import step_functions
from runyard_service.domain import errors
from tests.template.repository import MACHINES, Translated, definition

# The last resort catches nothing: there is nowhere to go. The rule on the execution's status is
# what follows it.
LAST_RESORT = "CloseRun"


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
        if name != LAST_RESORT:
            assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert task["Catch"][-1]["Next"] == LAST_RESORT, name


def test_the_two_machines_carry_on_in_the_same_way() -> None:
    """But for the name of the machine that the next turn is of: the second one's own."""
    run, resume = (definition(name)["States"] for name in ("run", "resume"))
    asked = run["AdvanceRun"]["Parameters"]["Payload"]
    assert asked.pop("resume_state_machine") == "${ResumeStateMachineArn}"
    assert resume["AdvanceRun"]["Parameters"]["Payload"].pop("resume_state_machine.$") == (
        "$$.StateMachine.Id"
    )
    assert run.items() <= resume.items()


def test_a_turn_is_one_transition_and_a_wait_one_more(states: dict[str, Any]) -> None:
    """Transitions are what a run pays most for."""
    at, taken = "WaitForInput" if "WaitForInput" in states else "AdvanceRun", 1
    while not states[at].get("End"):
        at, taken = states[at]["Next"], taken + 1
    assert (at, taken) == ("AdvanceRun", 2 if "WaitForInput" in states else 1)


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
    ours = {*vars(errors), *vars(step_functions)}
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


@pytest.mark.parametrize("name", MACHINES)
def test_every_substitution_is_given_and_used(translated: Translated, name: str) -> None:
    given = translated.properties(f"{name.title()}StateMachine")["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(definition(name)))) == set(given)


def test_an_execution_that_dies_is_closed_by_its_status(translated: Translated) -> None:
    pattern = translated.properties("CloseRunFunctionExecutionDied")["EventPattern"]
    assert pattern["detail"] == {
        "stateMachineArn": [{"Ref": "RunStateMachine"}, {"Ref": "ResumeStateMachine"}],
        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
    }


@pytest.mark.parametrize("machine", ["RunStateMachine", "ResumeStateMachine"])
def test_what_passes_through_the_machine_is_not_logged(
    translated: Translated, machine: str
) -> None:
    logging = translated.properties(machine)["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
