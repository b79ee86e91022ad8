"""Where the agents' files come from: a folder here, one object in S3 on AWS (`store`)."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Protocol

from runyard_service.domain.errors import DefinitionError


class AgentSource(Protocol):
    """The YAML files of one installation."""

    def fingerprint(self) -> Hashable:
        """Another value once the files have changed; cheap enough for every request.

        Raises DefinitionError or StoreUnavailableError where nobody can say.
        """
        ...

    def read(self) -> Mapping[str, str]:
        """Every file's text by its name: `routes.yaml`, `support_triage.yaml`, `scripts/x.yaml`.

        Raises DefinitionError where one cannot be read.
        """
        ...


class AgentDirectory:
    """The files of a folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fingerprint(self) -> tuple[tuple[str, int], ...]:
        """Which files there are, and when each was changed last."""
        return tuple((str(file), file.stat().st_mtime_ns) for file in self._files())

    def read(self) -> dict[str, str]:
        """Every file's text by its path in the folder."""
        if not self._folder.is_dir():
            raise DefinitionError(f"{self._folder}: is not a folder")
        return {file.relative_to(self._folder).as_posix(): _text(file) for file in self._files()}

    def _files(self) -> list[Path]:
        return sorted([*self._folder.glob("*.yaml"), *self._folder.glob("scripts/*.yaml")])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{file}: cannot be read: {error}") from error
