"""Test that the committed console is what its sources build, and that it stays small."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "console"
COMMITTED = ROOT / "layers/core/runyard_service/api/console/static"
MOST_BYTES = 60_000

needs_npm = pytest.mark.skipif(
    not (shutil.which("node") and (SOURCES / "node_modules/.bin/esbuild").exists()),
    reason="needs Node 20 or newer and npm, then make console/node_modules/.installed",
)


def run(*command: str) -> None:
    """Run a command in the folder of the sources. Fail with its output."""
    done = subprocess.run(
        command,
        cwd=SOURCES,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each file, by its path in the folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@needs_npm
def test_the_committed_files_are_built_from_the_sources(tmp_path: Path) -> None:
    run("node", "build.mjs", "--out", str(tmp_path / "built"))
    built, committed = contents(tmp_path / "built"), contents(COMMITTED)
    assert built.keys() == committed.keys(), "commit the output of make console"
    changed = [name for name, content in built.items() if content != committed[name]]
    assert not changed, "commit the output of make console"


@needs_npm
def test_the_types_are_right() -> None:
    run("node_modules/.bin/tsc", "--noEmit")


def test_all_files_together_stay_below_60_kb() -> None:
    sizes = {name: len(gzip.compress(content)) for name, content in contents(COMMITTED).items()}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


@needs_npm
def test_the_license_file_names_the_owners_of_all_packages_in_the_page() -> None:
    licenses = (ROOT / "NOTICE").read_text()
    lock = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    shipped = [path for path, package in lock.items() if path and not package.get("dev")]
    assert "node_modules/preact" in shipped
    for path in shipped:
        name = path.removeprefix("node_modules/")
        text = (SOURCES / path / "LICENSE").read_text()
        [owner] = [line for line in text.splitlines() if line.startswith("Copyright")]
        assert name in licenses
        assert owner in licenses
        assert " ".join(text[text.index("Permission") :].split()) in " ".join(licenses.split())
