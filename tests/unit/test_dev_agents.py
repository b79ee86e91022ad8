"""`make dev` over a folder of the user's own, in which the sample agents are not."""

import os
from pathlib import Path

import pytest

from runyard_dev.foreground import default_agents_from_folder
from runyard_service.agents.definitions.source import AgentDirectory

AGENT = 'version: "1"\nroute: played\ninstructions: Help.\ninput_schema: { type: object }\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DEFAULT_AGENT", "DEFAULT_PERSONA"):
        monkeypatch.setenv(variable, "")  # Also what is set later is undone then.
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/tale.yaml").write_text("dialogues: [{ name: d, turns: [{ say: hi }] }]\n")
    (tmp_path / "routes.yaml").write_text('played: { model: "scripted:tale" }\n')
    (tmp_path / "clerk.yaml").write_text(f"key: clerk\n{AGENT}")
    return tmp_path


def named(folder: Path) -> tuple[str, str]:
    default_agents_from_folder(AgentDirectory(folder))
    return os.environ["DEFAULT_AGENT"], os.environ["DEFAULT_PERSONA"]


def test_an_only_agent_answers_everywhere(folder: Path) -> None:
    assert named(folder) == ("clerk", "clerk")


def test_of_several_agents_none_is_chosen(folder: Path) -> None:
    (folder / "actor.yaml").write_text(f"key: actor\n{AGENT}")
    assert named(folder) == ("", "")


def test_the_agent_that_the_user_names_answers_in_threads_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "actor.yaml").write_text(f"key: actor\n{AGENT}")
    monkeypatch.setenv("DEFAULT_AGENT", "actor")
    assert named(folder) == ("actor", "actor")
    monkeypatch.setenv("DEFAULT_PERSONA", "clerk")
    assert named(folder) == ("actor", "clerk")


def test_the_samples_keep_their_parts(folder: Path) -> None:
    for key in ("support_triage", "assistant"):
        (folder / f"{key}.yaml").write_text(f"key: {key}\n{AGENT}")
    assert named(folder) == ("", "")
