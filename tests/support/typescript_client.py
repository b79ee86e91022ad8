"""The TypeScript client of `clients/typescript`, as built and as packed."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "clients/typescript"
BUILT = FOLDER / "dist/index.js"


def why_missing() -> str:
    """Return what to install before the client can run, or an empty string."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "needs Node 20 or newer and npm, then make test"
    return "" if BUILT.exists() else "needs the client: make clients/typescript/dist/.built"


needs_client = pytest.mark.skipif(bool(why_missing()), reason=why_missing())


def run(
    *command: str,
    folder: Path = FOLDER,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command in the client's folder. With `check`, fail with its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if check and done.returncode:
        pytest.fail(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done


def install(folder: Path) -> None:
    """Pack the client, and install it into an empty project without a registry."""
    run("npm", "pack", "--silent", "--pack-destination", str(folder))
    [archive] = folder.glob("runyard-*.tgz")
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
    offline: Any = ("--offline", "--no-audit", "--no-fund", f"--cache={folder / 'cache'}")
    run("npm", "install", "--silent", *offline, f"./{archive.name}", folder=folder)
