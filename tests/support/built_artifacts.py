"""What `make build` has made, laid out on this machine as Lambda lays it out on its own.

The function, the core layer and all that is pure Python are the built files themselves. Two things
cannot be: the wheels that are compiled for arm64 are taken for this machine, from the same lock and
by the same hashes; and boto3, which Lambda's runtime brings, is the tests' own.
"""

import filecmp
import hashlib
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from tests.template.repository import ROOT

BUILT = ROOT / ".aws-sam" / "build"
LOCK = ROOT / "layers" / "dependencies" / "requirements.txt"
_RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
_MACHINE = "aarch64"


@dataclass(frozen=True)
class Layout:
    """The folders that Lambda names /var/task, /opt and /var/runtime, and where its Python is."""

    task: Path
    layers: Path
    runtime: Path
    python_folder: Path


@cache
def python_folder() -> Path | None:
    """Where the Python that the functions run on is; None where there is none."""
    found = subprocess.run(
        [ROOT / "tools" / "find-python", "3.13"], capture_output=True, text=True, check=False
    )
    return Path(found.stdout.strip()).parent if found.returncode == 0 else None


def assemble_function(function: str, folder: Path) -> Layout:
    """Copy the built function and its layers to a new folder; build first if necessary."""
    if not _is_up_to_date(function):
        subprocess.run(["make", "build"], cwd=ROOT, check=True, capture_output=True)
        assert _is_up_to_date(function)
    python = python_folder()
    assert python
    layout = Layout(folder / "task", folder / "opt", folder / "runtime", python)
    # Copies, because Python writes byte code next to the sources, and that must not be deployed.
    shutil.copytree(BUILT / function, layout.task)
    for layer in ("DependenciesLayer", "CoreLayer"):
        shutil.copytree(BUILT / layer, layout.layers, dirs_exist_ok=True)
    if platform.machine() != _MACHINE:
        # Over the built packages, which differ from these in compiled files only.
        shutil.copytree(_compiled(python), layout.layers / "python", dirs_exist_ok=True)
    for name in _RUNTIME:
        for file in distribution(name).files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = layout.runtime / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    return layout


def _is_up_to_date(function: str) -> bool:
    """Whether what is built has the sources and the lock as they are."""
    pairs = [(ROOT / "functions" / "stream", BUILT / function)]
    package = "runyard_service"
    built_layer = BUILT / "CoreLayer" / "python"
    pairs.append((ROOT / "layers" / "core" / package, built_layer / package))
    for source, built in pairs:
        for file in source.rglob("*"):
            if file.suffix in (".py", ".sh", ".yaml") and "build" not in file.parts:
                copy = built / file.relative_to(source)
                if not copy.exists() or not filecmp.cmp(file, copy, shallow=False):
                    return False
    always = {name for name, text in _pins().items() if " ; " not in text.partition("\n")[0]}
    return always <= _installed().keys() <= _pins().keys()


def _pins() -> dict[str, str]:
    """Return each requirement of the lock with its hashes, by `name-version` as installed."""
    found = {}
    for text in re.split(r"\n(?=\S)", LOCK.read_text()):
        if match := re.match(r"([a-z0-9.-]+)==(\S+)( ; [^\\]*)?", text):
            found[f"{match[1].replace('-', '_')}-{match[2]}"] = text
    return found


def _installed() -> dict[str, Path]:
    folders = (BUILT / "DependenciesLayer" / "python").glob("*.dist-info")
    return {folder.name.removesuffix(".dist-info").lower(): folder for folder in folders}


def _compiled(python: Path) -> Path:
    """Install the lock's compiled wheels for this machine, once for each set; return the folder."""
    installed = _installed()
    requirements = "\n".join(
        text
        for name, text in sorted(_pins().items())
        if name in installed and _MACHINE in (installed[name] / "WHEEL").read_text()
    )
    name = f"compiled-{platform.machine()}-{hashlib.sha256(requirements.encode()).hexdigest()[:12]}"
    target = ROOT / "build" / name
    if not target.exists():
        making = target.with_suffix(f".{os.getpid()}")
        making.mkdir(parents=True)
        lock = making / "requirements.txt"
        lock.write_text(requirements)
        options = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:")
        command = [str(python / "python"), "-m", "pip", "install", *options, "-r", str(lock)]
        subprocess.run([*command, "--target", str(making)], check=True, capture_output=True)
        lock.unlink()
        making.rename(target)
    return target
