"""Write a new project: the files of the folder `scaffold`, and the installed service."""

import re
from pathlib import Path

from runyard.project.errors import ProjectError
from runyard.project.service_files import ServiceFiles
from runyard.project.template import SECTIONS
from runyard.project.vendor import vendor

_SCAFFOLD = Path(__file__).with_name("scaffold")
_OWN_ENTRIES = "own_entries.yaml"
# Build tools skip files whose names begin with a dot.
_RENAMED = {"gitignore": ".gitignore"}
# The name starts the name of the stack, and so those of its resources. The longest of these with a
# fixed part is the name of the event bus.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def new_project(name: str, parent: Path, service: ServiceFiles) -> Path:
    """Create the folder `name` in `parent` with a project; return it.

    Raise ProjectError if the name cannot be that of a stack, or if the folder has content.
    """
    if not _NAME.fullmatch(name):
        raise ProjectError(
            f"{name!r} cannot be the name of a stack. Use 1 to 40 lowercase letters, digits and"
            " hyphens, and begin with a letter."
        )
    project = parent / name
    if project.exists() and not (project.is_dir() and not any(project.iterdir())):
        raise ProjectError(f"{name} exists already and is not empty. Choose another name.")
    project.mkdir(exist_ok=True)
    for source in sorted(_SCAFFOLD.rglob("*")):
        path = source.relative_to(_SCAFFOLD)
        if source.is_file() and path.name != _OWN_ENTRIES and "__pycache__" not in path.parts:
            target = project / path.with_name(_RENAMED.get(path.name, path.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text(encoding="utf-8")
            text = text.replace("$NAME", name).replace("$VERSION", service.version)
            target.write_text(text, encoding="utf-8")
    vendor(project, service, _own_entries())
    return project


def _own_entries() -> dict[str, str]:
    text = (_SCAFFOLD / _OWN_ENTRIES).read_text(encoding="utf-8")
    parts = re.split(r"^(\w+):\n", text, flags=re.MULTILINE)[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    return {section: found.get(section, "") for section in SECTIONS}
