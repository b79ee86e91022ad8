"""Add what the local stack reads to the wheel: template, state machines, functions and samples.

`runyard dev` finds them there if it runs without a clone. SAM's build of the layer copies only the
folder `runyard_service` of the clone, so Lambda gets none of them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CLONE = Path(__file__).resolve().parents[2]


class BuildWithStack(build_py):
    """Copy the files of the local stack into `runyard_service/stack` of the wheel."""

    def run(self) -> None:
        """Build the package. An editable install uses the files of the clone."""
        super().run()
        if self.editable_mode:
            return
        stack = Path(self.build_lib) / "runyard_service" / "stack"
        shutil.rmtree(stack, ignore_errors=True)
        stack.mkdir(parents=True)
        shutil.copy(CLONE / "template.yaml", stack)
        for name in ("agents", "functions", "statemachines"):
            shutil.copytree(
                CLONE / name, stack / name, ignore=shutil.ignore_patterns("__pycache__")
            )


setup(cmdclass={"build_py": BuildWithStack})
