"""Nobody lacks a permission, and nobody has one too many: by the calls that were recorded."""

from pathlib import Path

from tests.permissions.granted_actions import granted_actions, missing, unused
from tests.permissions.recorded_functions import Used
from tests.permissions.required_actions import with_key

TEMPLATE = Path("template.yaml")
KEY = "arn:aws:kms:us-east-1:123456789012:key/6f1d2c3b"
# What no undisturbed run needs, by the grant's own words, and what it is there for.
ONLY_AFTER_ACCIDENTS = {
    "dynamodb:GetItem on arn:aws:dynamodb:us-east-1:123456789012:table/runyard-events-table": (
        "a transaction that failed for a record's sake: is its event in the log nevertheless?"
    ),
}


def test_every_call_of_a_function_is_allowed_to_it(used: Used) -> None:
    assert missing(granted_actions(TEMPLATE), used) == []


def test_everything_that_a_function_is_allowed_it_calls(used: Used) -> None:
    found = unused(granted_actions(TEMPLATE), used)
    assert [one for one in found if not any(known in one for known in ONLY_AFTER_ACCIDENTS)] == []
    unneeded = [known for known in ONLY_AFTER_ACCIDENTS if not any(known in one for one in found)]
    assert unneeded == []


def test_only_who_appends_looks_for_its_own_event(used: Used) -> None:
    """The accident cannot happen to anybody else."""
    table = "table/runyard-events-table"
    grants = granted_actions(TEMPLATE)
    looking = {
        function
        for function, found in grants.items()
        if any(one.action == "dynamodb:GetItem" and one.resource.endswith(table) for one in found)
    }
    appending = {
        function
        for function, rights in used.items()
        if any(one.action == "dynamodb:PutItem" and one.resource.endswith(table) for one in rights)
    }
    assert looking == appending


def test_with_a_key_of_the_accounts_own_a_function_may_use_it_as_it_must(used: Used) -> None:
    grants = granted_actions(TEMPLATE, KmsKeyArn=KEY)
    needed = {
        function: {each for right in rights for each in with_key(right, KEY)}
        for function, rights in used.items()
    }
    assert missing(grants, needed) == []
    assert [one for one in unused(grants, needed) if "kms:" in one] == []


def test_without_such_a_key_nobody_may_use_any() -> None:
    actions = {one.action for found in granted_actions(TEMPLATE).values() for one in found}
    assert not [action for action in actions if action.startswith("kms:")]
