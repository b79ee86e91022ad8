"""The actions that the template grants and denies to each function, and the used actions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from runyard_dev.template.cloudformation import Resolver, load_document
from runyard_dev.template.template import STACK_NAME
from tests.permissions.required_actions import RequiredAction, arn_of_secret

# Conditions that limit a grant to a part of its resource: operator and key. An unknown condition
# is an error: it must not count as no condition.
_PARTS = {
    ("ForAllValues:StringLike", "dynamodb:LeadingKeys"),
    ("ForAnyValue:StringLike", "dynamodb:LeadingKeys"),  # Of denials.
    ("StringLike", "s3:prefix"),
}
# Conditions on the caller. The calls of the code meet them.
_OF_CODE = {("Null", "lambda:SourceFunctionArn")}


@dataclass(frozen=True)
class GrantedAction:
    """A granted action: `resource` is a pattern of ARNs, `part` a pattern of keys in them."""

    sid: str
    action: str
    resource: str
    part: str = "*"

    def covers(self, right: RequiredAction) -> bool:
        """Return True if this grant allows the required action."""
        return (
            fnmatchcase(right.action, self.action)
            and fnmatchcase(right.resource, self.resource)
            and fnmatchcase(right.part, self.part)
        )

    def __str__(self) -> str:
        """Return the grant as messages name it."""
        part = "" if self.part == "*" else f", of it {self.part}"
        return f"{self.action} on {self.resource}{part} ({self.sid})"


def granted_actions(template: Path, **parameters: str) -> dict[str, list[GrantedAction]]:
    """Return the grants of each function by its logical id, for these template parameters.

    They come from the function's own statements and from separate policies of its role.
    """
    return _by_function(template, parameters, "Allow")


def denied_actions(template: Path, **parameters: str) -> dict[str, list[GrantedAction]]:
    """Return the denials of each function by its logical id, for these template parameters."""
    return _by_function(template, parameters, "Deny")


def _by_function(
    template: Path, parameters: Mapping[str, str], effect: str
) -> dict[str, list[GrantedAction]]:
    document = load_document(template)
    resolver = Resolver(document, stack_name=STACK_NAME, parameters=parameters)
    policies: dict[str, list[Any]] = {}
    for name, resource in document["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            own = resolver.resolve(resource["Properties"].get("Policies", []))
            policies.setdefault(name, []).extend(own)
        if resource["Type"] == "AWS::IAM::Policy":
            for role in resource["Properties"]["Roles"]:
                function = role["Ref"].removesuffix("Role")
                policy = resolver.resolve(resource["Properties"]["PolicyDocument"])
                policies.setdefault(function, []).append(policy)
    return {
        name: [
            grant
            for policy in of_function
            for statement in policy["Statement"]
            if statement["Effect"] == effect
            for grant in _grants(statement)
        ]
        for name, of_function in policies.items()
    }


def _grants(statement: Mapping[str, Any]) -> Iterator[GrantedAction]:
    """Yield a grant for each action, resource and part: each needs its own use."""
    parts = ["*"]
    for operator, conditions in statement.get("Condition", {}).items():
        for key, patterns in conditions.items():
            if (operator, key) in _OF_CODE:
                continue
            if (operator, key) not in _PARTS:
                raise ValueError(f"unknown condition {operator} of {key}")
            parts = _as_list(patterns)
    for action, resource in product(_as_list(statement["Action"]), _as_list(statement["Resource"])):
        is_arn = resource == "*" or resource.startswith("arn:")
        arn = resource if is_arn else arn_of_secret(resource)
        for part in parts:
            yield GrantedAction(statement.get("Sid", "no Sid"), action, arn, part)


def _as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def missing(
    grants: Mapping[str, Iterable[GrantedAction]], used: Mapping[str, Iterable[RequiredAction]]
) -> list[str]:
    """Return the calls that a role does not allow, a line for each."""
    return sorted(
        {
            f"{function} calls {right.action} on {right.resource}{_part_suffix(right)}, "
            "which its role does not allow"
            for function, rights in used.items()
            for right in rights
            if not any(grant.covers(right) for grant in grants.get(function, ()))
        }
    )


def _part_suffix(right: RequiredAction) -> str:
    return f", of it {right.part}" if right.part else ""


def forbidden(
    denials: Mapping[str, Iterable[GrantedAction]], used: Mapping[str, Iterable[RequiredAction]]
) -> list[str]:
    """Return the calls that a role denies, a line for each."""
    return sorted(
        {
            f"{function} calls {right.action} on {right.resource}{_part_suffix(right)}, "
            f"which {denial.sid} denies"
            for function, rights in used.items()
            for right in rights
            for denial in denials.get(function, ())
            if denial.covers(right)
        }
    )


def unused(
    grants: Mapping[str, Iterable[GrantedAction]], used: Mapping[str, Iterable[RequiredAction]]
) -> list[str]:
    """Return the grants that no call needs, a line for each."""
    return [
        f"{function} never needs {grant}"
        for function, found in grants.items()
        for grant in found
        if not any(grant.covers(right) for right in used.get(function, ()))
    ]
