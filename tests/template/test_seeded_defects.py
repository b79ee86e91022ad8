"""Seeded defects of the translated template that no linter reports: an existing test fails on each.

Defects of syntax are in test_gates.py, defects of permissions in tests/permissions.
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
class Defect:
    """A change of the resources, the check that must fail, and a part of its message."""

    change: Callable[[Resources], None]
    check: Callable[[Translated], None]
    message: str


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


def _remove_a_variable(resources: Resources) -> None:
    for function in ("ApiFunction", "StreamFunction"):
        del _variables(resources, function)["POLL_MAX_MS"]


def _add_an_unknown_variable(resources: Resources) -> None:
    _variables(resources, "ApiFunction")["TAIL_MAXIMUM_MS"] = "500"


def _write_an_invalid_value(resources: Resources) -> None:
    _variables(resources, "ApiFunction")["POLL_MAX_MS"] = "half a second"


def _remove_the_retention_period(resources: Resources) -> None:
    del resources["ApiFunctionLogs"]["Properties"]["RetentionInDays"]


def _log_to_another_group(resources: Resources) -> None:
    resources["SweepFunction"]["Properties"]["LoggingConfig"] = {"LogGroup": {"Ref": "HttpApiLogs"}}


def _change_the_architecture(resources: Resources) -> None:
    resources["RunStepFunction"]["Properties"]["Architectures"] = ["x86_64"]


def _shorten_the_timeout(resources: Resources) -> None:
    resources["StreamFunction"]["Properties"]["Timeout"] = 300


def _allow_every_action(resources: Resources) -> None:
    _statement(resources, "SweepFunctionRole", "QueryDueRuns")["Action"] = "dynamodb:*"


def _allow_every_resource(resources: Resources) -> None:
    _statement(resources, "RunStepFunctionRole", "CallTools")["Resource"] = "*"


def _let_the_streaming_endpoint_delete(resources: Resources) -> None:
    statement = _statement(resources, "StreamFunctionRole", "ReadAndWritePayloadsAndFiles")
    statement["Action"] = [*statement["Action"], "s3:DeleteObject"]


def _let_the_streaming_endpoint_complete_tasks(resources: Resources) -> None:
    statement = _statement(resources, "StreamFunctionRole", "StartRuns")
    statement["Action"] = ["states:StartExecution", "states:SendTaskSuccess"]


def _remove_the_encryption(resources: Resources) -> None:
    del resources["Bucket"]["Properties"]["BucketEncryption"]


def _remove_the_backups(resources: Resources) -> None:
    del resources["EventsTable"]["Properties"]["PointInTimeRecoverySpecification"]


def _delete_data_with_the_stack(resources: Resources) -> None:
    resources["RecordsTable"]["DeletionPolicy"] = "Delete"


def _buffer_the_stream(resources: Resources) -> None:
    resources["StreamFunctionUrl"]["Properties"]["InvokeMode"] = "BUFFERED"


def _remove_the_public_permissions(resources: Resources) -> None:
    for name, resource in list(resources.items()):
        if resource["Type"] == "AWS::Lambda::Permission" and "FunctionUrlAuthType" in str(resource):
            del resources[name]


def _lengthen_the_timeout_of_a_function(resources: Resources) -> None:
    resources["CloseRunFunction"]["Properties"]["Timeout"] = 900


DEFECTS = {
    "a setting without a variable": Defect(
        _remove_a_variable,
        test_functions.test_every_setting_is_a_variable_of_a_function,
        "POLL_MAX_MS",
    ),
    "a variable without a setting": Defect(
        _add_an_unknown_variable,
        lambda it: test_functions.test_every_variable_of_a_function_is_a_setting(it, "ApiFunction"),
        "TAIL_MAXIMUM_MS",
    ),
    "a log group without a retention period": Defect(
        _remove_the_retention_period,
        test_functions.test_every_log_group_has_a_retention_period,
        "ApiFunctionLogs",
    ),
    "a function that logs to another group": Defect(
        _log_to_another_group,
        lambda it: test_functions.test_every_function_logs_to_a_group_with_retention(
            it, "SweepFunction"
        ),
        "HttpApiLogs",
    ),
    "a function with another architecture": Defect(
        _change_the_architecture,
        lambda it: (
            test_functions.test_every_function_is_traced_and_has_the_architecture_of_the_layers(
                it, "RunStepFunction"
            )
        ),
        "x86_64",
    ),
    "a timeout shorter than the wait of the function": Defect(
        _shorten_the_timeout,
        test_functions.test_waits_are_shorter_than_the_timeout_of_their_function,
        "300",
    ),
    "an action by wildcard": Defect(
        _allow_every_action,
        test_permissions.test_no_role_allows_an_action_by_wildcard,
        "SweepFunctionRole",
    ),
    "a statement about every resource": Defect(
        _allow_every_resource,
        test_permissions.test_no_statement_is_about_every_resource,
        "CallTools",
    ),
    "a streaming endpoint that may delete": Defect(
        _let_the_streaming_endpoint_delete,
        test_permissions.test_only_the_api_and_the_sweep_may_delete_runs_and_their_data,
        "StreamFunction",
    ),
    "a streaming endpoint that may complete tasks": Defect(
        _let_the_streaming_endpoint_complete_tasks,
        test_permissions.test_only_the_api_and_the_sweep_may_complete_tasks_of_a_state_machine,
        "StreamFunction",
    ),
    "a bucket without encryption": Defect(
        _remove_the_encryption,
        test_storage.test_the_bucket_is_private_and_encrypted,
        "BucketEncryption",
    ),
    "a table without backups": Defect(
        _remove_the_backups,
        lambda it: test_storage.test_a_table_has_backups_and_deletion_protection(it, "EventsTable"),
        "PointInTimeRecoverySpecification",
    ),
    "data that is deleted with its stack": Defect(
        _delete_data_with_the_stack,
        lambda it: test_storage.test_data_is_retained_when_the_stack_is_deleted(it, "RecordsTable"),
        "Delete",
    ),
    "an endpoint that buffers its stream": Defect(
        _buffer_the_stream, test_endpoints.test_the_function_url_streams, "BUFFERED"
    ),
    "an endpoint without public permissions": Defect(
        _remove_the_public_permissions,
        test_endpoints.test_every_caller_may_invoke_the_function_url,
        "lambda:InvokeFunctionUrl",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS.keys())
def test_a_check_rejects(defect: Defect, translated: Translated) -> None:
    defect.check(translated)
    faulty = Translated(copy.deepcopy(translated.document))
    defect.change(faulty.document["Resources"])
    with pytest.raises((AssertionError, KeyError, ValueError)) as stopped:
        defect.check(faulty)
    assert defect.message in str(stopped.value)


def test_an_invalid_value_of_a_setting_is_rejected(translated: Translated) -> None:
    faulty = Translated(copy.deepcopy(translated.document))
    _write_an_invalid_value(faulty.document["Resources"])
    with pytest.raises(ValueError, match="POLL_MAX_MS"):
        test_functions.test_constant_values_are_valid_settings(faulty, "ApiFunction")


def test_a_state_machine_that_times_out_before_its_function_is_reported(
    states: dict[str, Any], translated: Translated
) -> None:
    faulty = Translated(copy.deepcopy(translated.document))
    _lengthen_the_timeout_of_a_function(faulty.document["Resources"])
    with pytest.raises(AssertionError, match="CloseRun"):
        test_state_machine.test_a_state_machine_waits_for_the_whole_timeout_of_a_function(
            states, faulty
        )


@pytest.mark.parametrize(
    ("part", "check"),
    [
        ("TimeoutSeconds", test_state_machine.test_every_task_has_a_timeout),
        ("Retry", test_state_machine.test_every_task_is_retried_with_jitter),
        ("Catch", test_state_machine.test_every_other_task_sends_its_errors_to_the_last_resort),
    ],
)
def test_a_task_without_a_required_field_is_reported(
    states: dict[str, Any], part: str, check: Callable[[dict[str, Any]], None]
) -> None:
    check(states)
    faulty = copy.deepcopy(states)
    del faulty["AdvanceRun"][part]
    with pytest.raises((AssertionError, KeyError), match=f"AdvanceRun|{part}"):
        check(faulty)
