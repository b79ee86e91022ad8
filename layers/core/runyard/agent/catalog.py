"""The agents of this installation, read from a folder: one YAML file each, and `routes.yaml`.

Scripts for `scripted:` routes lie in `scripts/`. Files are read again when they change; one that
has become unreadable leaves the agents as they were.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from runyard.agent.definition import AgentDefinition, Route, Snapshot
from runyard.agent.script import Script
from runyard.domain.errors import DefinitionError

_log = logging.getLogger(__name__)

_Model = TypeVar("_Model", bound=BaseModel)


class Catalog:
    """Every version of every agent in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_at: tuple[tuple[str, int], ...] = ()
        self._agents: dict[str, dict[str, Snapshot]] = {}

    def agent(self, name: str) -> Snapshot:
        """The agent `key@version`, or the newest version of `key`.

        Raises DefinitionError where there is none, or where the folder cannot be read at all.
        """
        self._refresh()
        return _found(self._agents, name, self._folder)

    def check(self, default: str) -> None:
        """Read everything anew. Raises DefinitionError naming file, place and fault.

        Among the faults is that the agent `default` is missing.
        """
        _found(_read_folder(self._folder), default, self._folder)

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Which files there are, and when each was changed last."""
        files = sorted([*self._folder.glob("*.yaml"), *self._folder.glob("scripts/*.yaml")])
        return tuple((str(file), file.stat().st_mtime_ns) for file in files)

    def _refresh(self) -> None:
        read_at = self.stamp()
        if read_at == self._read_at:
            return
        try:
            self._agents = _read_folder(self._folder)
        except DefinitionError as error:
            if not self._agents:
                raise
            _log.error("agents not reloaded: %s", error)
        self._read_at = read_at


def _found(agents: Mapping[str, Mapping[str, Snapshot]], name: str, folder: Path) -> Snapshot:
    key, _, version = name.partition("@")
    versions = agents.get(key, {})
    if not version and versions:
        return versions[max(versions, key=_natural)]
    if version in versions:
        return versions[version]
    raise DefinitionError(f"{folder}: there is no agent {name!r}")


def _read_folder(folder: Path) -> dict[str, dict[str, Snapshot]]:
    routes_file = folder / "routes.yaml"
    routes = {
        name: _checked(Route, fields, routes_file, name)
        for name, fields in _read(routes_file).items()
    }
    agents: dict[str, dict[str, Snapshot]] = {}
    for file in sorted(folder.glob("*.yaml")):
        if file == routes_file:
            continue
        definition = _checked(AgentDefinition, _read(file), file)
        if definition.route not in routes:
            raise DefinitionError(f"{file}: route: routes.yaml has no route {definition.route!r}")
        route = routes[definition.route]
        snapshot = Snapshot(definition=definition, route=route, script=_script(folder, route))
        versions = agents.setdefault(definition.key, {})
        if definition.version in versions:
            raise DefinitionError(f"{file}: version: {snapshot.name} stands in another file too")
        versions[definition.version] = snapshot
    return agents


def _script(folder: Path, route: Route) -> Mapping[str, Any] | None:
    if route.provider != "scripted":
        return None
    file = folder / "scripts" / f"{route.model_name}.yaml"
    return _checked(Script, _read(file), file).model_dump(mode="json", exclude_unset=True)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"{file}: cannot be read") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise DefinitionError(f"{file}{place}: is not YAML") from error
    if not isinstance(content, dict):
        raise DefinitionError(f"{file}: must be a mapping")
    return content


def _checked(model: type[_Model], fields: Any, file: Path, *place: str) -> _Model:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join([*place, *map(str, fault['loc'])]) or 'file'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise DefinitionError(f"{file}: {faults}") from error


def _natural(version: str) -> list[tuple[int, int, str]]:
    """Versions in the order people mean: 2 before 10, 1.9 before 1.10."""
    return [
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.split(r"[._-]", version)
    ]
