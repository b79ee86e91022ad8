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
from tests.permissions.required_actions import with_key

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


def test_no_function_may_use_a_key_if_the_account_has_none() -> None:
    actions = {grant.action for grants in granted_actions(TEMPLATE).values() for grant in grants}
    assert not [action for action in actions if action.startswith("kms:")]
