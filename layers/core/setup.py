"""Add the local stack to the wheel: `runyard_dev`, and the files of the clone that it reads.

`runyard dev` and `runyard vendor` find them there if they run without a clone. SAM's build of the
layer copies only the folder `runyard_service` of the clone, so Lambda gets none of them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CLONE = Path(__file__).resolve().parents[2]
LAYERS = ("Makefile", "dependencies/requirements.txt", "models/requirements.txt")


class BuildWithStack(build_py):
    """Copy the local stack into the wheel, and to `runyard_service/stack` the files it reads."""

    def run(self) -> None:
        """Build the package. An editable install uses the files of the clone."""
        super().run()
        if self.editable_mode:
            return
        without_caches = shutil.ignore_patterns("__pycache__")
        package = Path(self.build_lib) / "runyard_dev"
        shutil.rmtree(package, ignore_errors=True)
        shutil.copytree(CLONE / "local" / "runyard_dev", package, ignore=without_caches)
        stack = Path(self.build_lib) / "runyard_service" / "stack"
        shutil.rmtree(stack, ignore_errors=True)
        stack.mkdir(parents=True)
        shutil.copy(CLONE / "template.yaml", stack)
        for name in ("agents", "functions", "statemachines"):
            shutil.copytree(CLONE / name, stack / name, ignore=without_caches)
        # The core layer is the package itself.
        for name in LAYERS:
            target = stack / "layers" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CLONE / "layers" / name, target)


setup(cmdclass={"build_py": BuildWithStack})
