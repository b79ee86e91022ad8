"""A client without arguments finds the local stack of the current folder."""

from pathlib import Path

import pytest

from runyard import Runyard
from runyard.client.configuration import load_configuration
from runyard_dev.dev_stack import DevStack


@pytest.fixture
def folder(stack: DevStack, tmp_path: Path) -> Path:
    """Return a folder whose `.runyard` is the data folder of the running stack."""
    (tmp_path / ".runyard").symlink_to(stack.logs.parent)
    return tmp_path


def test_a_client_without_arguments(
    stack: DevStack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RUNYARD_URL", "RUNYARD_ACCESS_KEY", "RUNYARD_PROJECT", "RUNYARD_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.chdir(folder)
    found = load_configuration()
    assert (found.url, found.access_key.reveal()) == (stack.base_url, stack.access_key)
    with Runyard() as client:
        assert client.me().projects == ("dev",)
