"""Code blocks of documentation pages, and their execution against a service."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.service import Service


def code_blocks(page: Path, section: str, language: str) -> list[str]:
    """Return the code blocks of a section of a page; of the whole page if `section` is empty."""
    text = page.read_text(encoding="utf-8")
    if section:
        text = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_python(code: str, service: Service, folder: Path) -> str:
    """Run Python code whose client takes the service from the environment; return its output."""
    variables = {"RUNYARD_URL": service.base_url, "RUNYARD_ACCESS_KEY": service.access_key}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **variables, "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def run_session(blocks: list[str], service: Service, folder: Path) -> str:
    """Run the shell blocks as one session against the service; return what they print."""
    script = "\n".join(blocks)
    script = re.sub(r"http://127\.0\.0\.1:80[89]0", service.base_url, script)
    script = re.sub(r"\$\(cat [\w./-]*access-key\)", service.access_key, script)
    script = script.replace(".venv/bin/runyard", f"{shlex.quote(sys.executable)} -m runyard")
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
