"""Every role has exactly the permissions that the recorded calls need."""

from pathlib import Path

from tests.permissions.granted_actions import (
    denied_actions,
    forbidden,
    granted_actions,
    missing,
    unused,
)
from tests.permissions.recorded_functions import Used
from tests.permissions.required_actions import RequiredAction, with_key

TEMPLATE = Path("template.yaml")
KEY = "arn:aws:kms:us-east-1:123456789012:key/6f1d2c3b"
# Grants that only a run with a failure needs, and their purpose.
ONLY_AFTER_FAILURES = {
    "dynamodb:GetItem on arn:aws:dynamodb:us-east-1:123456789012:table/runyard-events-table": (
        "after a transaction failed on a record: is its event in the log?"
    ),
}


def test_the_role_allows_every_call_of_its_function(used: Used) -> None:
    assert missing(granted_actions(TEMPLATE), used) == []


def test_no_denial_of_a_role_stops_a_call_of_its_function(used: Used) -> None:
    assert forbidden(denied_actions(TEMPLATE), used) == []


def test_a_function_uses_every_grant_of_its_role(used: Used) -> None:
    found = unused(granted_actions(TEMPLATE), used)
    assert [
        grant for grant in found if not any(known in grant for known in ONLY_AFTER_FAILURES)
    ] == []
    unneeded = [
        known for known in ONLY_AFTER_FAILURES if not any(known in grant for grant in found)
    ]
    assert unneeded == []


def test_only_functions_that_append_events_read_single_events(used: Used) -> None:
    """Only a function that appends events can have a failed transaction."""
    table = "table/runyard-events-table"
    grants = granted_actions(TEMPLATE)
    readers = {
        function
        for function, found in grants.items()
        if any(
            grant.action == "dynamodb:GetItem" and grant.resource.endswith(table) for grant in found
        )
    }
    writers = {
        function
        for function, rights in used.items()
        if any(
            used.action == "dynamodb:PutItem" and used.resource.endswith(table) for used in rights
        )
    }
    assert readers == writers


def test_every_function_may_use_the_accounts_own_key_for_its_calls(used: Used) -> None:
    grants = granted_actions(TEMPLATE, KmsKeyArn=KEY)
    needed = {
        function: {action for right in rights for action in with_key(right, KEY)}
        for function, rights in used.items()
    }
    assert missing(grants, needed) == []
    assert [grant for grant in unused(grants, needed) if "kms:" in grant] == []


# Parameters after a restore, and the names that they replace in the resources of the calls.
RESTORED = {
    "ExistingEventsTableName": "restored-events",
    "ExistingEventsStreamLabel": "2026-11-28T08:00:00.000",
    "ExistingRecordsTableName": "restored-records",
    "ExistingBucketName": "restored-bucket",
}
OWN_NAMES = {
    "stream/newest": "stream/2026-11-28T08:00:00.000",
    "runyard-events-table": "restored-events",
    "runyard-records-table": "restored-records",
    "runyard-bucket": "restored-bucket",
}


def _on_restored_data(right: RequiredAction) -> RequiredAction:
    resource = right.resource
    for own, restored in OWN_NAMES.items():
        resource = resource.replace(own, restored)
    return RequiredAction(right.action, resource, right.part)


def test_the_roles_of_a_restored_stack_have_the_same_permissions(used: Used) -> None:
    grants = granted_actions(TEMPLATE, **RESTORED)
    needed = {function: set(map(_on_restored_data, rights)) for function, rights in used.items()}
    assert needed != used
    assert missing(grants, needed) == []
    assert forbidden(denied_actions(TEMPLATE, **RESTORED), needed) == []
    own = unused(granted_actions(TEMPLATE), used)
    assert len(unused(grants, needed)) == len(own)


# Alarms, budget, VPC, boundary and role path: no function gets a permission by these.
WITHOUT_GRANTS = {
    "AlarmEmail": "ops@example.com",
    "MonthlyBudgetUsd": "100",
    "SubnetIds": "subnet-1",
    "SecurityGroupIds": "sg-1",
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
    "RolePath": "/runyard/",
    "AccountConcurrency": "10",
    "Stage": "prod",
}


def test_alarms_a_vpc_and_a_boundary_change_no_permission_of_a_function() -> None:
    assert granted_actions(TEMPLATE, **WITHOUT_GRANTS) == granted_actions(TEMPLATE)
    assert denied_actions(TEMPLATE, **WITHOUT_GRANTS) == denied_actions(TEMPLATE)


def test_no_function_may_use_a_key_if_the_account_has_none() -> None:
    actions = {grant.action for grants in granted_actions(TEMPLATE).values() for grant in grants}
    assert not [action for action in actions if action.startswith("kms:")]
