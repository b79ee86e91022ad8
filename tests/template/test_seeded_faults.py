"""Faults that no linter sees, put into the translated template: each is found by the check that is
there for it, run as it is.

The faults of form are in test_gates.py, those of what is called in tests/permissions.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.template import (
    test_endpoints,
    test_functions,
    test_permissions,
    test_state_machine,
    test_storage,
)
from tests.template.repository import Translated

Resources = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What is done to the resources, the check that has to fail, and a part of what it says."""

    spoil: Callable[[Resources], None]
    check: Callable[[Translated], None]
    says: str


def _variables(resources: Resources, function: str) -> dict[str, Any]:
    found: dict[str, Any] = resources[function]["Properties"]["Environment"]["Variables"]
    return found


def _statement(resources: Resources, role: str, sid: str) -> dict[str, Any]:
    return next(
        statement
        for policy in resources[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Sid"] == sid
    )


def _a_setting_without_a_variable(resources: Resources) -> None:
    for door in ("ApiFunction", "StreamFunction"):
        del _variables(resources, door)["POLL_MAX_MS"]


def _a_variable_without_a_setting(resources: Resources) -> None:
    _variables(resources, "ApiFunction")["TAIL_MAXIMUM_MS"] = "500"


def _a_value_that_is_no_setting(resources: Resources) -> None:
    _variables(resources, "ApiFunction")["POLL_MAX_MS"] = "half a second"


def _a_log_group_without_an_end(resources: Resources) -> None:
    del resources["ApiFunctionLogs"]["Properties"]["RetentionInDays"]


def _a_function_that_logs_elsewhere(resources: Resources) -> None:
    resources["SweepFunction"]["Properties"]["LoggingConfig"] = {"LogGroup": {"Ref": "HttpApiLogs"}}


def _a_function_for_another_processor(resources: Resources) -> None:
    resources["RunStepFunction"]["Properties"]["Architectures"] = ["x86_64"]


def _a_door_that_ends_before_its_wait(resources: Resources) -> None:
    resources["StreamFunction"]["Properties"]["Timeout"] = 300


def _an_action_by_wildcard(resources: Resources) -> None:
    _statement(resources, "SweepFunctionRole", "QueryDueRuns")["Action"] = "dynamodb:*"


def _every_resource(resources: Resources) -> None:
    _statement(resources, "RunStepFunctionRole", "CallTools")["Resource"] = "*"


def _a_streaming_door_that_may_delete(resources: Resources) -> None:
    statement = _statement(resources, "StreamFunctionRole", "ReadAndWritePayloadsAndFiles")
    statement["Action"] = [*statement["Action"], "s3:DeleteObject"]


def _a_streaming_door_that_may_answer(resources: Resources) -> None:
    statement = _statement(resources, "StreamFunctionRole", "StartRuns")
    statement["Action"] = ["states:StartExecution", "states:SendTaskSuccess"]


def _a_bucket_in_clear_text(resources: Resources) -> None:
    del resources["Bucket"]["Properties"]["BucketEncryption"]


def _a_table_without_backups(resources: Resources) -> None:
    del resources["EventsTable"]["Properties"]["PointInTimeRecoverySpecification"]


def _data_that_goes_with_its_stack(resources: Resources) -> None:
    resources["RecordsTable"]["DeletionPolicy"] = "Delete"


def _a_door_that_holds_back(resources: Resources) -> None:
    resources["StreamFunctionUrl"]["Properties"]["InvokeMode"] = "BUFFERED"


def _a_door_that_is_locked(resources: Resources) -> None:
    for name, resource in list(resources.items()):
        if resource["Type"] == "AWS::Lambda::Permission" and "FunctionUrlAuthType" in str(resource):
            del resources[name]


def _a_machine_that_gives_up_early(resources: Resources) -> None:
    resources["CloseRunFunction"]["Properties"]["Timeout"] = 900


FAULTS = {
    "a setting without a variable": Fault(
        _a_setting_without_a_variable,
        test_functions.test_every_setting_is_given_to_some_function,
        "POLL_MAX_MS",
    ),
    "a variable without a setting": Fault(
        _a_variable_without_a_setting,
        lambda it: test_functions.test_every_variable_of_a_function_is_a_setting(it, "ApiFunction"),
        "TAIL_MAXIMUM_MS",
    ),
    "a log group without an end": Fault(
        _a_log_group_without_an_end,
        test_functions.test_no_log_group_keeps_its_lines_for_ever,
        "ApiFunctionLogs",
    ),
    "a function that logs elsewhere": Fault(
        _a_function_that_logs_elsewhere,
        lambda it: test_functions.test_every_function_logs_to_a_group_with_an_end(
            it, "SweepFunction"
        ),
        "HttpApiLogs",
    ),
    "a function for another processor": Fault(
        _a_function_for_another_processor,
        lambda it: (
            test_functions.test_every_function_is_traced_and_of_the_kind_that_the_layers_are_built_for(
                it, "RunStepFunction"
            )
        ),
        "x86_64",
    ),
    "a door that ends before its wait": Fault(
        _a_door_that_ends_before_its_wait,
        test_functions.test_waits_end_before_their_function_does,
        "300",
    ),
    "an action by wildcard": Fault(
        _an_action_by_wildcard,
        test_permissions.test_no_role_may_do_anything_by_wildcard,
        "SweepFunctionRole",
    ),
    "a statement about every resource": Fault(
        _every_resource, test_permissions.test_no_statement_is_about_every_resource, "CallTools"
    ),
    "a streaming door that may delete": Fault(
        _a_streaming_door_that_may_delete,
        test_permissions.test_only_one_door_and_the_sweep_delete_runs_and_what_is_a_runs,
        "StreamFunction",
    ),
    "a streaming door that may answer": Fault(
        _a_streaming_door_that_may_answer,
        test_permissions.test_only_the_api_and_the_sweep_give_answers_to_a_machine,
        "StreamFunction",
    ),
    "a bucket in clear text": Fault(
        _a_bucket_in_clear_text,
        test_storage.test_the_bucket_is_private_and_encrypted,
        "BucketEncryption",
    ),
    "a table without backups": Fault(
        _a_table_without_backups,
        lambda it: test_storage.test_a_table_is_backed_up_and_protected(it, "EventsTable"),
        "PointInTimeRecoverySpecification",
    ),
    "data that goes with its stack": Fault(
        _data_that_goes_with_its_stack,
        lambda it: test_storage.test_data_outlives_its_stack(it, "RecordsTable"),
        "Delete",
    ),
    "a door that holds back": Fault(
        _a_door_that_holds_back, test_endpoints.test_the_function_url_streams, "BUFFERED"
    ),
    "a door that is locked": Fault(
        _a_door_that_is_locked,
        test_endpoints.test_the_function_url_may_be_called_by_anybody,
        "lambda:InvokeFunctionUrl",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_check_stops(fault: Fault, translated: Translated) -> None:
    fault.check(translated)
    faulty = Translated(copy.deepcopy(translated.document))
    fault.spoil(faulty.document["Resources"])
    with pytest.raises((AssertionError, KeyError, ValueError)) as stopped:
        fault.check(faulty)
    assert fault.says in str(stopped.value)


def test_a_value_that_is_no_setting_is_refused(translated: Translated) -> None:
    faulty = Translated(copy.deepcopy(translated.document))
    _a_value_that_is_no_setting(faulty.document["Resources"])
    with pytest.raises(ValueError, match="poll_max_ms"):
        test_functions.test_the_values_that_are_written_out_are_valid_settings(
            faulty, "ApiFunction"
        )


def test_a_machine_that_gives_up_before_its_function_is_found(
    states: dict[str, Any], translated: Translated
) -> None:
    faulty = Translated(copy.deepcopy(translated.document))
    _a_machine_that_gives_up_early(faulty.document["Resources"])
    with pytest.raises(AssertionError, match="CloseRun"):
        test_state_machine.test_the_machine_waits_for_a_function_as_long_as_it_may_run(
            states, faulty
        )


@pytest.mark.parametrize(
    ("part", "check"),
    [
        ("TimeoutSeconds", test_state_machine.test_every_task_has_a_timeout),
        ("Retry", test_state_machine.test_every_task_is_retried_with_jitter),
        ("Catch", test_state_machine.test_every_task_but_the_last_resort_hands_what_fails_to_it),
    ],
)
def test_a_task_that_lost_a_part_is_found(
    states: dict[str, Any], part: str, check: Callable[[dict[str, Any]], None]
) -> None:
    check(states)
    faulty = copy.deepcopy(states)
    del faulty["AdvanceRun"][part]
    with pytest.raises((AssertionError, KeyError), match=f"AdvanceRun|{part}"):
        check(faulty)
