"""The build that is deployed: SAM's own, of the template as it is, with wheels for this machine.

Wheels are fetched before the network is left, for Lambda's architecture and for this one. From then
on pip takes them from a folder, in `sam build` too.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# By the layer that each is for.
REQUIREMENTS = {
    "DependenciesLayer": Path("layers/dependencies/requirements.txt"),
    "ModelsLayer": Path("layers/models/requirements.txt"),
}
# What python3.13's image can load, on arm64: it has glibc 2.34.
_LAMBDA_PLATFORMS = [
    f"{name}_aarch64"
    for name in ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
]
_LAMBDA_MACHINES = ("aarch64", "arm64")


@dataclass(frozen=True)
class Build:
    """The folder of the build, and the programs that make it."""

    folder: Path
    python: Path
    """A Python 3.13, which the functions run on."""
    sam: Path
    """The Python that has samcli."""

    @property
    def built(self) -> Path:
        """What `sam build` makes."""
        return self.folder / "sam"

    @property
    def _wheels(self) -> Path:
        return self.folder / "wheels"

    def fetch_wheels(self) -> None:
        """Fetch what the layers' lock files name, unless it is there already."""
        locks = b"".join(file.read_bytes() for file in REQUIREMENTS.values())
        digest = hashlib.sha256(locks).hexdigest()
        digest_file = self._wheels / "fetched"
        if digest_file.exists() and digest_file.read_text(encoding="utf-8") == digest:
            return
        shutil.rmtree(self._wheels, ignore_errors=True)
        elsewhere = ["--only-binary", ":all:"]
        elsewhere += [f"--platform={name}" for name in _LAMBDA_PLATFORMS]
        for file in REQUIREMENTS.values():
            download = [*self._pip, "download", *_locked(file), "--dest", str(self._wheels)]
            subprocess.run([*download, "--no-deps"], check=True)
            subprocess.run([*download, "--no-deps", *elsewhere], check=True)
        digest_file.write_text(digest, encoding="utf-8")

    def make(self) -> None:
        """`sam build`, without a network."""
        command = [str(self.sam), "-m", "samcli", "build", "--build-dir", str(self.built)]
        command += ["--cache-dir", str(self.folder / "cache")]
        subprocess.run(command, check=True, env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of `sam build`: Python 3.13 is first, pip takes fetched wheels."""
        # A URL: pip splits the variable at spaces.
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self._wheels.resolve().as_uri()}
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **offline, "PATH": path}

    def exchange_wheels(self, built: Path | None = None) -> None:
        """Replace Lambda's wheels by this machine's, if they are others."""
        if platform.machine() in _LAMBDA_MACHINES:
            return
        for layer, file in REQUIREMENTS.items():
            target = (built or self.built) / layer / "python"
            shutil.rmtree(target)
            install = [*self._pip, "install", *_locked(file), "--no-deps", "--no-index"]
            install += ["--find-links", str(self._wheels), "--target", str(target)]
            subprocess.run(install, check=True)

    @property
    def _pip(self) -> list[str]:
        return [str(self.python), "-m", "pip", "--quiet", "--disable-pip-version-check"]


def _locked(file: Path) -> list[str]:
    return ["--require-hashes", "-r", str(file)]
