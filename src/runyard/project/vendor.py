"""Copy the installed service into a project, and replace it by the next version later.

The manifest has the digest of each file as it was written. A file with another digest was edited.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from runyard.project.errors import ProjectError
from runyard.project.service_files import ServiceFiles
from runyard.project.template import (
    SECTIONS,
    VENDOR,
    own_entries,
    project_template,
    without_own_entries,
)

TEMPLATE = "template.yaml"
MANIFEST = f"{VENDOR}/manifest.json"
_MAX_LISTED = 10


@dataclass
class Manifest:
    """The version that a project has, and the digest of each file by its path."""

    version: str = ""
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, project: Path) -> "Manifest":
        """Return the manifest of the project; an empty one if the project has none."""
        path = project / MANIFEST
        if not path.exists():
            return cls()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            files = {str(name): str(digest) for name, digest in found["files"].items()}
            if not all(map(_may_be_written, files)):
                raise ValueError
            return cls(str(found["version"]), files)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProjectError(
                f"{MANIFEST} is not valid. Restore it from git, or delete {VENDOR} and {TEMPLATE}"
                " and run `runyard vendor` again."
            ) from None

    def write(self, project: Path) -> None:
        """Write the manifest."""
        content = {"version": self.version, "files": dict(sorted(self.files.items()))}
        _write(project / MANIFEST, (json.dumps(content, indent=2) + "\n").encode())


@dataclass
class Changes:
    """What `runyard vendor` changed: the paths, and the versions before and after."""

    before: str
    after: str
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def vendor(
    project: Path, service: ServiceFiles, own: dict[str, str] | None = None, *, force: bool = False
) -> Changes:
    """Write the files of the service into the project, and remove those of the version before.

    `own` has the project's entries of the template, by default those of the template itself. Raise
    ProjectError and write nothing if a file was edited, unless `force` is set.
    """
    manifest = Manifest.read(project)
    if own is None:
        own = _own_entries(project, manifest)
    requested = {f"{VENDOR}/{name}": content for name, content in service.files.items()}
    requested[TEMPLATE] = project_template(service.template, service.version, own).encode()
    names = sorted({*manifest.files, *requested})
    edited = [name for name in names if _is_edited(project, name, manifest, requested)]
    if edited and not force:
        raise ProjectError(_edited_message(edited))
    changes = Changes(manifest.version, service.version)
    for name in names:
        _apply(project, name, requested.get(name), changes)
    digests = {name: _digest(name, content) for name, content in requested.items()}
    Manifest(service.version, digests).write(project)
    return changes


def _may_be_written(name: str) -> bool:
    """Return whether the path is one that this command writes: a manifest can come from others."""
    path = PurePosixPath(name)
    is_vendored = path.is_relative_to(VENDOR) and ".." not in path.parts
    return name == TEMPLATE or is_vendored


def _own_entries(project: Path, manifest: Manifest) -> dict[str, str]:
    path = project / TEMPLATE
    if path.exists():
        if TEMPLATE not in manifest.files:
            raise ProjectError(
                f"{TEMPLATE} is not from `runyard vendor`. Move it away, run `runyard vendor`, and"
                " insert your own resources between >>> and <<<."
            )
        return own_entries(path.read_text(encoding="utf-8"))
    if not manifest.files and not (project / "agents").is_dir():
        raise ProjectError(
            "this folder has no folder agents/. Run `runyard vendor` in the folder of your project,"
            " or create a project with `runyard new NAME`."
        )
    return dict.fromkeys(SECTIONS, "")


def _is_edited(project: Path, name: str, manifest: Manifest, requested: dict[str, bytes]) -> bool:
    """Return whether the file has other content than this version and the version before."""
    path = project / name
    if not path.exists():
        return False
    digest = _digest(name, path.read_bytes())
    known = {manifest.files.get(name)}
    if name in requested:
        known.add(_digest(name, requested[name]))
    return digest not in known


def _edited_message(edited: list[str]) -> str:
    listed = "".join(f"\n  {name}" for name in edited[:_MAX_LISTED])
    rest = f"\n  and {len(edited) - _MAX_LISTED} more" if len(edited) > _MAX_LISTED else ""
    return (
        f"these files differ from the version that `runyard vendor` wrote:{listed}{rest}\n"
        "Nothing was written. Undo the changes, or run `runyard vendor --force`, which discards"
        f" them. Your own entries of {TEMPLATE} between >>> and <<< stay in both cases."
    )


def _apply(project: Path, name: str, content: bytes | None, changes: Changes) -> None:
    path = project / name
    if content is None:
        if path.exists():
            path.unlink()
            _remove_empty_folders(path.parent, project)
            changes.removed.append(name)
        return
    if path.exists() and path.read_bytes() == content:
        return
    (changes.changed if path.exists() else changes.added).append(name)
    _write(path, content)
    if path.suffix == ".sh":
        path.chmod(0o755)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _remove_empty_folders(folder: Path, project: Path) -> None:
    while folder != project and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _digest(name: str, content: bytes) -> str:
    """Return the digest of a file; that of the template leaves out the project's own entries."""
    if name == TEMPLATE:
        # Without its markers the template counts as edited.
        with suppress(ProjectError, UnicodeDecodeError):
            content = without_own_entries(content.decode()).encode()
    return hashlib.sha256(content).hexdigest()
