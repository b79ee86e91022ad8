"""The files of the installed service that a project needs for `sam build`."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

# Of the service, the files that only the local stack and this command use.
_NOT_IN_LAYER = frozenset({"stack", "__pycache__"})
# Of the package `runyard`, what agents in own code cannot use.
_NOT_IN_AGENTS = frozenset({"cli", "project", "__pycache__"})
_LAYERS = ("Makefile", "dependencies/requirements.txt", "models/requirements.txt")


@dataclass(frozen=True)
class ServiceFiles:
    """The version of the service, its template, and its other files by their vendored paths."""

    version: str
    template: str
    files: dict[str, bytes]


def installed_service() -> ServiceFiles:
    """Read the installed `runyard-service`, and the package of agents of the installed `runyard`.

    In a clone they are the files of the clone.
    """
    service = _package("runyard_service")
    stack = service / "stack"
    if not stack.is_dir():
        stack = service.parents[2]
    files = {f"layers/{name}": (stack / "layers" / name).read_bytes() for name in _LAYERS}
    for folder in ("functions", "statemachines"):
        files |= _files(stack / folder, folder, frozenset({"__pycache__"}))
    files |= _files(service, "layers/core/runyard_service", _NOT_IN_LAYER)
    files |= _files(_package("runyard"), "agent_code/python/runyard", _NOT_IN_AGENTS)
    template = (stack / "template.yaml").read_text(encoding="utf-8")
    return ServiceFiles(version("runyard-service"), template, files)


def _package(name: str) -> Path:
    return Path(str(importlib.import_module(name).__file__)).parent


def _files(folder: Path, target: str, left_out: frozenset[str]) -> dict[str, bytes]:
    return {
        f"{target}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in _walk(folder, left_out)
    }


def _walk(folder: Path, left_out: frozenset[str]) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not left_out & set(path.relative_to(folder).parts):
            yield path
