"""One YAML file: what it says, and on which line.

YAML is read as JSON could hold it: a date is a text, no mapping has a key twice (PyYAML would take
the last and say nothing), and nothing contains itself.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import ComposerError

from runyard_service.agents.definitions.errors import DefinitionIssue, Step, to_issues

try:
    from yaml import CSafeLoader as SafeLoader  # Ten times as fast, which a cold start notices.
except ImportError:  # A PyYAML that was built without libyaml.
    from yaml import SafeLoader  # type: ignore[assignment]

_Model = TypeVar("_Model", bound=BaseModel)

_TAG = "tag:yaml.org,2002:"
_TIMESTAMP = f"{_TAG}timestamp"


class _Loader(SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to say it
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
        """The line of the deepest thing on this way that is there, and the steps that led to it.

        Steps that lead nowhere are passed over: pydantic also names the kinds that it tried.
        """
        node, line = self.root, _line(self.root)
        found: list[Step] = []
        for step in steps:
            if child := _child(node, step):
                line, node = child
                found.append(step)
        return line, tuple(found)

    def issue(self, steps: Sequence[Step], text: str) -> DefinitionIssue:
        """A fault at a field that is there."""
        line, found = self.find(steps)
        return DefinitionIssue(self.file, line, f"{'.'.join(map(str, found))}: {text}")

    def checked(
        self, model: type[_Model], faults: list[DefinitionIssue], *under: str
    ) -> _Model | None:
        """What the document, or what stands `under` a name in it, is as a `model`.

        None where it cannot be one; what is wrong is then added to `faults`.
        """
        fields: Any = self.fields
        for name in under:
            fields = fields[name]
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
            for one in errors:
                one["loc"] = (*under, *one["loc"])
            faults += to_issues(errors, self.file, self)
            return None


def read_document(file: str, text: str, faults: list[DefinitionIssue]) -> Document | None:
    """The file's content, or None where it cannot be used; adds what is wrong to `faults`."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            faults.append(DefinitionIssue(file, _line(root) if root else 1, "must be a mapping"))
            return None
        faults += [
            DefinitionIssue(file, _line(node), f"{node.value}: is not a number that JSON can hold")
            for node in _prepare_scalars(root)
            if not math.isfinite(loader.construct_yaml_float(node))
        ]
        faults += [
            DefinitionIssue(file, _line(key), f"{key.value}: is duplicated")
            for key in _repeated_keys(root)
        ]
        return Document(file, loader.construct_document(root), root)
    except yaml.YAMLError as error:
        faults.append(_syntax_issue(file, text, error))
    except ValueError as error:  # PyYAML's, of a value that is not what its tag says.
        faults.append(DefinitionIssue(file, 0, f"is not YAML: {error}"))
    return None


def _syntax_issue(file: str, text: str, error: yaml.YAMLError) -> DefinitionIssue:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return DefinitionIssue(file, error.problem_mark.line + 1, f"is not YAML: {error.problem}")
    # The reader's, of a character that YAML does not know; it counts characters.
    line = text.count("\n", 0, getattr(error, "position", 0)) + 1
    return DefinitionIssue(file, line, f"is not YAML: {getattr(error, 'reason', error)}")


def _repeated_keys(
    node: yaml.Node, above: tuple[yaml.Node, ...] = (), done: set[int] | None = None
) -> Iterator[yaml.ScalarNode]:
    """Every key that its mapping has already; raises ComposerError where a node holds itself."""
    done = set() if done is None else done
    if node in above:
        message = "an alias stands inside of what it repeats"
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


def _prepare_scalars(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Make every scalar key a text, as in JSON, and return the numbers with a fraction."""
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
    """What stands under a name or at a place in a list, and the line on which it begins."""
    if isinstance(node, yaml.SequenceNode):
        is_there = isinstance(step, int) and step < len(node.value)
        return (_line(node.value[step]), node.value[step]) if is_there else None
    if isinstance(node, yaml.MappingNode):
        # The last: what `<<` merges in stands before the mapping's own.
        for key, value in reversed(node.value):
            if key.value == str(step):
                return _line(key), value
    return None


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
