"""The shell commands of the documentation, run as they are against the emulator.

Only these differ: the name of the stack, and an option that the AWS command line of version 1 does
not have. That version comes from PyPI, which has no version 2.
"""

import os
import re
import subprocess
import textwrap
from pathlib import Path

FOLDER = Path("docs/how-to")
OPERATIONS = FOLDER / "operations.md"
RESTORE = FOLDER / "restore.md"
_AWS_FOLDER = Path(".venv-deployment/bin")
_ONLY_VERSION_2 = "--cli-binary-format raw-in-base64-out"


def code_blocks(page: Path, heading: str) -> list[str]:
    """Return the shell code of a section of the page, a text for each block."""
    text = page.read_text(encoding="utf-8")
    [_, section] = text.split(f"\n## {heading}\n")
    section = section.partition("\n## ")[0]
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", section, re.DOTALL | re.MULTILINE)
    assert blocks, f"{page} has no commands under {heading}"
    return [textwrap.dedent(code) for _, code in blocks]


class Shell:
    """A shell with the setup of the operations page, for one stack."""

    def __init__(self, stack: str) -> None:
        setup = code_blocks(OPERATIONS, "Shell setup")[0]
        assert "export STACK=runyard-prod" in setup
        self._setup = setup.replace("STACK=runyard-prod", f"STACK={stack}")

    def run(self, *blocks: str) -> str:
        """Run the blocks in one shell that ends at the first error; return what they print."""
        code = "\n".join([self._setup, *blocks]).replace(_ONLY_VERSION_2, "")
        path = f"{_AWS_FOLDER.resolve()}{os.pathsep}{os.environ['PATH']}"
        command = ["bash", "-eu", "-o", "pipefail", "-c", code]
        done = subprocess.run(
            command, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        return done.stdout
