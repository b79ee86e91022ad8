"""What an update of the stack changes, and what CloudFormation leaves when it fails at a resource.

The rules are those of AWS's documents:

- An update creates new resources and changes others. It deletes removed and replaced resources
  only after all of that succeeded ("Understand update behaviors of stack resources").
- A failed update rolls back: changed resources get their old properties, and what the update
  created is deleted, unless its DeletionPolicy is Retain ("DeletionPolicy attribute").
- A change of a create-only property replaces the resource (CloudFormation registry, resource type
  schemas). CloudFormation rejects the replacement of a resource whose template states its name.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from runyard_dev.template.cloudformation import Resolver
from tests.template.conftest import SAM_PYTHON
from tests.template.failed_create import NAMES
from tests.template.repository import Translated, references

_STACK = "stack"
_READ_SCHEMAS = """
import json, sys
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
found = {}
for kind in sys.argv[1:]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths = schema.get("createOnlyProperties", [])
    found[kind] = sorted({path.split("/")[2] for path in paths})
print(json.dumps(found))
"""


@cache
def create_only_properties(kinds: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the properties of each resource type whose change replaces the resource."""
    known = [kind for kind in kinds if kind.startswith("AWS::")]
    done = subprocess.run(
        [str(SAM_PYTHON), "-c", _READ_SCHEMAS, *known], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@dataclass
class Update:
    """The resources that an update touches, by logical id."""

    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)

    @property
    def touched(self) -> set[str]:
        """Return every resource at which the update can fail."""
        return self.added | self.changed | self.replaced


def update_of(template: Translated, before: Mapping[str, str], after: Mapping[str, str]) -> Update:
    """Return what a change of the parameters does to the stack."""
    old, new = _active(template, before), _active(template, after)
    update = Update(added=new.keys() - old.keys(), removed=old.keys() - new.keys())
    kinds = tuple(sorted({str(each["Type"]) for each in template.document["Resources"].values()}))
    create_only = create_only_properties(kinds)
    differing = {
        name: {part for part in {**old[name], **new[name]} if _differs(old[name], new[name], part)}
        for name in old.keys() & new.keys()
    }
    while True:  # A replaced resource changes the properties that refer to it.
        for name, resource in template.document["Resources"].items():
            for part, value in resource.get("Properties", {}).items():
                if name in differing and update.replaced & set(references(value)):
                    differing[name].add(part)
        replaced = {
            name
            for name, parts in differing.items()
            if parts & set(create_only.get(template.document["Resources"][name]["Type"], ()))
        }
        if replaced == update.replaced:
            break
        update.replaced = replaced
    update.changed = {name for name, parts in differing.items() if parts} - update.replaced
    return update


def rejected(template: Translated, update: Update) -> set[str]:
    """Return the replaced resources that have a stated name: CloudFormation rejects the update."""
    resources = template.document["Resources"]
    return {
        name
        for name in update.replaced
        if NAMES.get(resources[name]["Type"], "") in resources[name].get("Properties", {})
    }


def left_by_rollback(template: Translated, update: Update, failed: str) -> set[str]:
    """Return the resources that a rollback leaves outside the stack, in the worst order."""
    return {
        name
        for name in update.added | update.replaced
        if name != failed
        and failed not in template.dependencies(name)
        and template.document["Resources"][name].get("DeletionPolicy") == "Retain"
    }


def deleted(template: Translated, update: Update) -> set[str]:
    """Return the resources that CloudFormation deletes after the update has succeeded."""
    resources = template.document["Resources"]
    return {
        name for name in update.removed if resources[name].get("DeletionPolicy") != "Retain"
    } | {name for name in update.replaced if resources[name].get("UpdateReplacePolicy") != "Retain"}


def _active(template: Translated, parameters: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    resolver = Resolver(template.document, stack_name=_STACK, parameters=parameters)
    return {
        name: resolver.resolve(resource.get("Properties", {}))
        for name, resource in template.document["Resources"].items()
        if resolver.is_active(resource)
    }


def _differs(old: Mapping[str, Any], new: Mapping[str, Any], part: str) -> bool:
    return bool(old.get(part) != new.get(part))
