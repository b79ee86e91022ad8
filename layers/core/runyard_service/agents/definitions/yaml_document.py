"""One YAML file, with the line of every field.

Only data that JSON can represent is valid: dates are strings, a mapping has no duplicate key
(PyYAML silently uses the last), and no value contains itself.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import ComposerError

from runyard_service.agents.definitions.errors import DefinitionIssue, Step, to_issues
from runyard_service.agents.definitions.known_fields import unknown_field_text

try:
    from yaml import CSafeLoader as SafeLoader  # Ten times as fast; matters at a cold start.
except ImportError:  # A PyYAML that was built without libyaml.
    from yaml import SafeLoader  # type: ignore[assignment]

_Model = TypeVar("_Model", bound=BaseModel)

# Aliases count as what they stand for: a few lines of them can stand for billions of values.
MAX_VALUES = 100_000

_TAG = "tag:yaml.org,2002:"
_TIMESTAMP = f"{_TAG}timestamp"


class _Loader(SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it like this
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class Document:
    """A file whose content is a mapping."""

    file: str
    fields: dict[Any, Any]
    root: yaml.Node

    def find(self, steps: Sequence[Step]) -> tuple[int, tuple[Step, ...]]:
        """Return the line of the deepest field on the path that exists, and its path.

        Skip steps that are no field: pydantic also names the alternatives that it tried.
        """
        node, line = self.root, _line(self.root)
        found: list[Step] = []
        for step in steps:
            if child := _child(node, step):
                line, node = child
                found.append(step)
        return line, tuple(found)

    def issue(self, steps: Sequence[Step], text: str) -> DefinitionIssue:
        """Return an issue at an existing field."""
        line, found = self.find(steps)
        return DefinitionIssue(self.file, line, f"{'.'.join(map(str, found))}: {text}")

    def validate(
        self, model: type[_Model], issues: list[DefinitionIssue], *under: str
    ) -> _Model | None:
        """Return the document, or the field at the path `under`, as a `model`.

        Return None if it is invalid, and add the errors to `issues`.
        """
        fields: Any = self.fields
        for name in under:
            fields = fields[name]
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
            for detail in errors:
                if detail["type"] == "extra_forbidden":
                    detail["msg"] = unknown_field_text(model, detail["loc"])
                detail["loc"] = (*under, *detail["loc"])
            issues += to_issues(errors, self.file, self)
            return None


def read_document(file: str, text: str, issues: list[DefinitionIssue]) -> Document | None:
    """Return the file's content; if it is invalid, return None and add to `issues`."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            issues.append(DefinitionIssue(file, _line(root) if root else 1, "must be a mapping"))
            return None
        issues += [
            DefinitionIssue(file, _line(node), f"{node.value}: is not a number that JSON can hold")
            for node in _prepare_scalars(root)
            if not math.isfinite(loader.construct_yaml_float(node))
        ]
        issues += [
            DefinitionIssue(file, _line(key), f"{key.value}: is duplicated")
            for key in _repeated_keys(root)
        ]
        if _count_values(root, {}) > MAX_VALUES:
            text = f"has more than {MAX_VALUES:,} values with its aliases; use fewer aliases"
            issues.append(DefinitionIssue(file, 0, text))
            return None
        return Document(file, loader.construct_document(root), root)
    except yaml.YAMLError as error:
        issues.append(_syntax_issue(file, text, error))
    except RecursionError:
        issues.append(DefinitionIssue(file, 0, "is nested too deep"))
    except ValueError as error:  # PyYAML raises it for a value that does not match its tag.
        issues.append(DefinitionIssue(file, 0, f"is not YAML: {error}"))
    return None


def _syntax_issue(file: str, text: str, error: yaml.YAMLError) -> DefinitionIssue:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return DefinitionIssue(file, error.problem_mark.line + 1, f"is not YAML: {error.problem}")
    # A reader error for a character that YAML does not allow; its position is in characters.
    line = text.count("\n", 0, getattr(error, "position", 0)) + 1
    return DefinitionIssue(file, line, f"is not YAML: {getattr(error, 'reason', error)}")


def _repeated_keys(
    node: yaml.Node, above: tuple[yaml.Node, ...] = (), done: set[int] | None = None
) -> Iterator[yaml.ScalarNode]:
    """Yield every duplicate key; raise ComposerError if a node contains itself."""
    done = set() if done is None else done
    if node in above:
        message = "an alias is inside its own anchor"
        raise ComposerError(None, None, message, node.start_mark)
    if id(node) in done or not isinstance(node, yaml.CollectionNode):
        return
    done.add(id(node))
    children = node.value
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    yield key
                seen.add((key.tag, key.value))
        children = [value for _, value in node.value]
    for child in children:
        yield from _repeated_keys(child, (*above, node), done)


def _count_values(node: yaml.Node, counts: dict[int, int]) -> int:
    """Return the number of values in the node, and repeat what an alias names."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in counts:
        is_mapping = isinstance(node, yaml.MappingNode)
        children = [child for pair in node.value for child in pair] if is_mapping else node.value
        counts[id(node)] = 1 + sum(_count_values(child, counts) for child in children)
    return counts[id(node)]


def _prepare_scalars(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Tag every scalar key as a string, as in JSON, and yield the float nodes."""
    nodes, done = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                    key.tag = f"{_TAG}str"
                nodes.append(value)
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}float":
            yield node


def _child(node: yaml.Node, step: Step) -> tuple[int, yaml.Node] | None:
    """Return the first line and the node of a field or a list item, or None."""
    if isinstance(node, yaml.SequenceNode):
        is_there = isinstance(step, int) and step < len(node.value)
        return (_line(node.value[step]), node.value[step]) if is_there else None
    if isinstance(node, yaml.MappingNode):
        # The last key: those merged by `<<` are before the mapping's own.
        for key, value in reversed(node.value):
            if key.value == str(step):
                return _line(key), value
    return None


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
