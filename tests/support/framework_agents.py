"""Run Python in the environment of the agent frameworks."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-agents/bin/python"
TESTS = ROOT / "tests/framework_agents"


def missing_frameworks() -> str:
    """Return what to install before the tests can run, or an empty string."""
    return "" if PYTHON.exists() else "needs the agent frameworks: make .venv-agents/.installed"


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of the repository and without access keys of models."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "OTEL_SDK_DISABLED": "true",
    }
    return subprocess.run(
        [str(PYTHON), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
