"""Sources of the agent files: a local folder, or one S3 object on AWS (`adapters/s3`)."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Protocol

from runyard_service.domain.errors import DefinitionError


class AgentSource(Protocol):
    """The YAML files of one installation."""

    def fingerprint(self) -> Hashable:
        """Return a value that changes when the files change; cheap enough for every request.

        Raise DefinitionError or StoreUnavailableError if the source cannot be read.
        """
        ...

    def read(self) -> Mapping[str, str]:
        """Return every file's text by its name, such as `routes.yaml` or `scripts/x.yaml`.

        Raise DefinitionError if a file cannot be read.
        """
        ...


class AgentDirectory:
    """The agent files of a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fingerprint(self) -> tuple[tuple[str, int], ...]:
        """Return the path and modification time (ns) of every file."""
        return tuple((str(file), file.stat().st_mtime_ns) for file in self._files())

    def read(self) -> dict[str, str]:
        """Return every file's text by its path in the folder."""
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
