"""What the template's roles allow, function by function, and the comparison with what is used."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from runyard.dev.cloudformation import Resolver, load_document
from runyard.dev.template import STACK_NAME
from tests.permissions.rights import Right, arn_of_secret


@dataclass(frozen=True)
class Grant:
    """An action on a pattern of ARNs; if partition keys are named, for their items alone."""

    sid: str
    action: str
    resource: str
    leading_keys: tuple[str, ...] = ()

    def covers(self, right: Right) -> bool:
        """Whether it allows this."""
        return (
            self.action == right.action
            and fnmatchcase(right.resource, self.resource)
            and (
                not self.leading_keys
                or any(fnmatchcase(right.leading_key, each) for each in self.leading_keys)
            )
        )

    def __str__(self) -> str:
        """As a fault names it."""
        return f"{self.action} on {self.resource} ({self.sid})"


def granted(template: Path) -> dict[str, list[Grant]]:
    """What each function's own statements allow, by its logical id."""
    document = load_document(template)
    resolver = Resolver(document, stack_name=STACK_NAME)
    return {
        name: [
            grant
            for policy in resource["Properties"].get("Policies", ())
            for statement in policy["Statement"]
            for grant in _grants(resolver.resolve(statement))
        ]
        for name, resource in document["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def _grants(statement: Mapping[str, Any]) -> Iterator[Grant]:
    condition = statement.get("Condition", {})
    keys = condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", ())
    for action in _listed(statement["Action"]):
        for resource in _listed(statement["Resource"]):
            arn = resource if resource.startswith("arn:") else arn_of_secret(resource)
            yield Grant(statement.get("Sid", "no Sid"), action, arn, tuple(keys))


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def missing(
    grants: Mapping[str, Iterable[Grant]], used: Mapping[str, Iterable[Right]]
) -> list[str]:
    """The calls that a role would refuse, one line each."""
    return sorted(
        {
            f"{function} calls {right.action} on {right.resource}, which its role does not allow"
            for function, rights in used.items()
            for right in rights
            if not any(grant.covers(right) for grant in grants.get(function, ()))
        }
    )


def unused(grants: Mapping[str, Iterable[Grant]], used: Mapping[str, Iterable[Right]]) -> list[str]:
    """The grants that no call needs, one line each."""
    return [
        f"{function} never needs {grant}"
        for function, found in grants.items()
        for grant in found
        if not any(grant.covers(right) for right in used.get(function, ()))
    ]
