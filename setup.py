"""Leave the local stack out of the wheel: the wheel of `runyard-service` contains it."""

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
        super().run()


setup(cmdclass={"build_py": BuildWithoutLocalStack})
