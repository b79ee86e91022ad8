"""A shell completes commands, options, agents and profiles."""

import subprocess
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from runyard.cli.main import runyard
from tests.support.command_line import service_variables
from tests.support.service import Service


def complete(words: list[str], incomplete: str) -> list[str]:
    """Return what a shell offers after these words."""
    completion = ShellComplete(runyard, {}, "runyard", "_RUNYARD_COMPLETE")
    return [item.value for item in completion.get_completions(words, incomplete)]


def test_commands_and_options_are_completed() -> None:
    assert complete([], "in") == ["inbox"]
    assert complete(["runs"], "e") == ["export"]
    assert complete(["runs", "list", "--status"], "c") == ["created", "completed", "canceled"]


def test_agents_are_completed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in service_variables(service).items():
        monkeypatch.setenv(name, value)
    assert complete(["run"], "sup") == ["support_triage"]
    assert complete(["agents", "show"], "talk") == ["talker"]
    monkeypatch.setenv("RUNYARD_ACCESS_KEY", "ry_unknown")
    assert complete(["run"], "sup") == []


def test_profiles_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "runyard/config.toml"
    file.parent.mkdir()
    file.write_text('[profiles.work]\nurl = "https://a"\n[profiles.home]\nurl = "https://b"\n')
    assert complete(["runs", "list", "--profile"], "w") == ["work"]
    file.write_text("not TOML")
    assert complete(["runs", "list", "--profile"], "w") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(shell: str) -> None:
    done = CliRunner().invoke(runyard, ["completion", shell])
    assert done.exit_code == 0
    assert f"_RUNYARD_COMPLETE={shell}_complete" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)
