"""The console's logic without a browser: forms, comparison, usage and the fold of a log."""

import shutil
from pathlib import Path

import pytest

from tests.support.typescript_client import ROOT, run

FOLDER = ROOT / "console"
ESBUILD = FOLDER / "node_modules/.bin/esbuild"

pytestmark = pytest.mark.skipif(
    not shutil.which("node") or not ESBUILD.exists(),
    reason="needs Node 20 or newer, and npm ci --ignore-scripts in console/",
)


def test_the_logic_of_the_console(tmp_path: Path) -> None:
    sources = sorted(str(path) for path in FOLDER.glob("tests/*.test.ts"))
    options = ("--bundle", "--platform=node", "--format=esm", "--out-extension:.js=.mjs")
    built = ("--log-level=warning", f"--outdir={tmp_path}")
    run(str(ESBUILD), *sources, *options, *built, folder=FOLDER)
    tests = sorted(str(path) for path in tmp_path.glob("*.test.mjs"))
    assert len(tests) == len(sources)
    done = run("node", "--test", "--test-timeout=60000", *tests, folder=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
