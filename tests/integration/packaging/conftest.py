"""Both wheels, and an environment in which they are installed."""

import os
import sysconfig
import venv
from pathlib import Path

import pytest

from runyard_dev.emulators.tool_cache import cache_dir
from runyard_dev.plugin import PLUGIN_VARIABLE
from tests.support.wheels import build_wheels, install_wheels
from tests.template.repository import ROOT


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both wheels; return them by distribution."""
    return build_wheels(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def installed(wheels: dict[str, Path], tmp_path: Path) -> Path:
    """Return the Python of an environment with both wheels and all third-party packages.

    These are on its path. Python ignores the .pth files there, so the editable installs of this
    repository are not found.
    """
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    install_wheels(python, wheels)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "third-party.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return python


@pytest.fixture
def outside() -> dict[str, str]:
    """Return environment variables without the modules of this repository."""
    foreign = {"PYTHONPATH", PLUGIN_VARIABLE}
    return {
        **{name: text for name, text in os.environ.items() if name not in foreign},
        "RUNYARD_TOOLS_DIR": str(cache_dir()),  # The emulator is downloaded already.
    }
