"""Leave the local stack out of the wheel: the wheel of `runyard-service` contains it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithoutLocalStack(build_py):
    """Build the packages that users install. An editable install has those of the clone."""

    def run(self) -> None:
        """Build the package."""
        if not self.editable_mode:
            self.packages = [
                name for name in self.packages if name.partition(".")[0] != "runyard_dev"
            ]
            # An earlier build may have left it.
            shutil.rmtree(Path(self.build_lib) / "runyard_dev", ignore_errors=True)
        super().run()


setup(cmdclass={"build_py": BuildWithoutLocalStack})
