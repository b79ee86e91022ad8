"""Properties that no checker of the states language tests: timeouts, retries and error paths."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from runyard_service.adapters import step_functions
from runyard_service.domain import errors
from tests.template.repository import MACHINES, Translated, definition

# The last resort has no Catch, because no state follows it. If it fails, the rule on the status
# of the execution closes the run.
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


# "Handle transient Lambda service exceptions" in the Step Functions developer guide.
TRANSIENT = {
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}


def test_every_task_is_retried_after_each_transient_error_of_lambda(
    states: dict[str, Any],
) -> None:
    for name, task in tasks(states).items():
        retried = {error for retry in task["Retry"] for error in retry["ErrorEquals"]}
        assert "States.ALL" in retried or retried >= TRANSIENT, name


def test_every_other_task_sends_its_errors_to_the_last_resort(states: dict[str, Any]) -> None:
    for name, task in tasks(states).items():
        if name != LAST_RESORT:
            assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert task["Catch"][-1]["Next"] == LAST_RESORT, name


def test_both_state_machines_continue_in_the_same_way() -> None:
    """Only the ARN of the resume state machine differs: the second machine passes its own ARN."""
    run, resume = (definition(name)["States"] for name in ("run", "resume"))
    payload = run["AdvanceRun"]["Parameters"]["Payload"]
    assert payload.pop("resume_state_machine") == "${ResumeStateMachineArn}"
    assert resume["AdvanceRun"]["Parameters"]["Payload"].pop("resume_state_machine.$") == (
        "$$.StateMachine.Id"
    )
    assert run.items() <= resume.items()


def test_an_execution_is_one_transition_and_a_wait_a_second_one(states: dict[str, Any]) -> None:
    """Transitions are the largest cost of a run."""
    at, taken = "WaitForInput" if "WaitForInput" in states else "AdvanceRun", 1
    while not states[at].get("End"):
        at, taken = states[at]["Next"], taken + 1
    assert (at, taken) == ("AdvanceRun", 2 if "WaitForInput" in states else 1)


def test_every_path_to_the_last_resort_sets_the_error(states: dict[str, Any]) -> None:
    """A missing path fails the execution, so every transition to it must set $.error."""
    assert states[LAST_RESORT]["Parameters"]["Payload"]["error.$"] == "$.error"
    without_error = [
        name
        for name, transition in transitions_to(states, LAST_RESORT)
        if not sets_error(transition)
    ]
    assert without_error == []


def transitions_to(states: dict[str, Any], target: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every state, catch or choice that leads to the target."""
    for name, state in states.items():
        if target in (state.get("Next"), state.get("Default")):
            yield name, state
        for transition in (*state.get("Catch", ()), *state.get("Choices", ())):
            if transition["Next"] == target:
                yield name, transition


def sets_error(transition: dict[str, Any]) -> bool:
    return transition.get("ResultPath") == "$.error"


def test_every_named_error_exists(states: dict[str, Any]) -> None:
    """Lambda reports the name of the class, so a name without a class never matches."""
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


def test_a_state_machine_waits_for_the_whole_timeout_of_a_function(
    states: dict[str, Any], translated: Translated
) -> None:
    for state, function in (("AdvanceRun", "RunStepFunction"), ("CloseRun", "CloseRunFunction")):
        timeout = translated.properties(function)["Timeout"]
        assert states[state]["TimeoutSeconds"] >= timeout, state


@pytest.mark.parametrize("name", MACHINES)
def test_every_substitution_is_defined_and_used(translated: Translated, name: str) -> None:
    defined = translated.properties(f"{name.title()}StateMachine")["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(definition(name)))) == set(defined)


def test_a_rule_closes_an_execution_that_ends_without_success(translated: Translated) -> None:
    pattern = translated.properties("CloseRunFunctionExecutionDied")["EventPattern"]
    assert pattern["detail"] == {
        "stateMachineArn": [{"Ref": "RunStateMachine"}, {"Ref": "ResumeStateMachine"}],
        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
    }


@pytest.mark.parametrize("machine", ["RunStateMachine", "ResumeStateMachine"])
def test_a_state_machine_does_not_log_its_data(translated: Translated, machine: str) -> None:
    logging = translated.properties(machine)["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
