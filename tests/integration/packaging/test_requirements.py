"""Test that the extra `dev` requires every package which the local stack imports."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.template.repository import ROOT

OWN = {"runyard", "runyard_dev", "runyard_service"}
PROJECTS = {"runyard": "pyproject.toml", "runyard-service": "layers/core/pyproject.toml"}
# The adapters of frameworks, which are imported only where their framework is installed.
ADAPTERS = {"langgraph.py", "openai_agents.py", "pydantic_ai.py", "strands.py"}
SOURCES = ("src", "functions", "layers/core/runyard_service", "local/runyard_dev")


def imported(source: Path) -> Iterator[str]:
    """Yield the top-level name of each module that the file imports when it is imported."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def required_by(name: str) -> list[str]:
    """Return the requirements of a distribution; those of this repository from its sources."""
    if name not in PROJECTS:
        try:
            return requires(name) or []
        except PackageNotFoundError:
            return []
    project = tomllib.loads((ROOT / PROJECTS[name]).read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].items()
    optional = [f'{line}; extra == "{extra}"' for extra, lines in extras for line in lines]
    return [*project["dependencies"], *optional]


def required(line: str) -> set[str]:
    """Return the canonical names of the distributions that installing `line` installs."""
    names: set[str] = set()
    waiting = [Requirement(line)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {e for n, e in seen if n == name}:
            seen.add((name, extra))
            names.add(name)
            waiting += [
                child
                for child in map(Requirement, required_by(name))
                if child.marker is None or child.marker.evaluate({"extra": extra})
            ]
    return names


def test_the_extra_dev_requires_every_imported_package() -> None:
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    # The scaffold is the code of a new project.
    files = [path for path in files if path.name not in ADAPTERS and "scaffold" not in path.parts]
    modules = {name for path in files for name in imported(path)}
    installed = required("runyard[dev]")
    distributions = packages_distributions()
    missing = {
        module
        for module in modules - OWN - set(sys.stdlib_module_names)
        if not installed & {canonicalize_name(name) for name in distributions.get(module, [])}
    }
    assert missing == set()
