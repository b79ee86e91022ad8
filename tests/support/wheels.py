"""Build both wheels, of this repository or of a newer version, and install them."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

NEWER_VERSION = "99.0.0"
_SOURCES = ("agents", "functions", "layers", "local", "src", "statemachines")


def build_wheels(source: Path, folder: Path) -> dict[str, Path]:
    """Build the wheels of a clone into the folder; return them by distribution.

    They are built from a copy: setuptools would add modules of earlier builds of the clone.
    """
    with tempfile.TemporaryDirectory() as copy:
        _copy_sources(source, Path(copy))
        return _build(Path(copy), folder)


def _build(source: Path, folder: Path) -> dict[str, Path]:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "-qq", "--no-index", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(folder), ".", "layers/core"),
        ],
        cwd=source,
        check=True,
    )
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


def install_wheels(python: Path, wheels: Mapping[str, Path]) -> None:
    """Install the wheels into the environment of `python`, in place of other versions of them."""
    (folder,) = {str(wheel.parent) for wheel in wheels.values()}
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--upgrade"),
            *("--no-index", "--no-deps", "--find-links", folder, "runyard", "runyard-service"),
        ],
        check=True,
    )


def _copy_sources(clone: Path, folder: Path) -> None:
    without_builds = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for name in _SOURCES:
        shutil.copytree(clone / name, folder / name, ignore=without_builds, dirs_exist_ok=True)
    for path in clone.iterdir():
        if path.is_file():
            shutil.copy(path, folder)


def newer_source(clone: Path, folder: Path) -> Path:
    """Copy the sources of the wheels, as a newer version with small changes; return the folder.

    A function has another file, a file is gone, and the template has a new output.
    """
    _copy_sources(clone, folder)
    (folder / "layers/core/VERSION").write_text(f"{NEWER_VERSION}\n", encoding="utf-8")
    (folder / "functions/sweep/newer.py").write_text("NEWER = True\n", encoding="utf-8")
    (folder / "src/runyard/strands.py").unlink()
    with (folder / "template.yaml").open("a", encoding="utf-8") as template:
        template.write("\n  Newer:\n    Value: !Ref AWS::StackName\n")
    return folder
