"""`make dev` with a user's folder of agents, which does not contain the sample agents."""

import os
from pathlib import Path

import pytest

from runyard_dev.foreground import check_folder, example_input
from runyard_service.agents.definitions.loader import read_agents
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.domain.errors import DefinitionError

AGENT = 'version: "1"\nroute: played\ninstructions: Help.\ninput_schema: { type: object }\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DEFAULT_AGENT", "DEFAULT_PERSONA"):
        monkeypatch.setenv(variable, "")  # Values set later are restored too.
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/tale.yaml").write_text("dialogues: [{ name: d, turns: [{ say: hi }] }]\n")
    (tmp_path / "routes.yaml").write_text('played: { model: "scripted:tale" }\n')
    (tmp_path / "clerk.yaml").write_text(f"key: clerk\n{AGENT}")
    return tmp_path


def default_agents(folder: Path) -> tuple[str, str]:
    check_folder(AgentDirectory(folder))
    return os.environ["DEFAULT_AGENT"], os.environ["DEFAULT_PERSONA"]


def test_the_only_agent_is_the_default_of_both_apis(folder: Path) -> None:
    assert default_agents(folder) == ("clerk", "clerk")


def test_several_agents_without_a_default_are_an_error(folder: Path) -> None:
    (folder / "actor.yaml").write_text(f"key: actor\n{AGENT}")
    with pytest.raises(DefinitionError, match="set DEFAULT_AGENT to one of actor, clerk"):
        default_agents(folder)


def test_the_agent_named_by_the_user_is_the_default_of_threads_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "actor.yaml").write_text(f"key: actor\n{AGENT}")
    monkeypatch.setenv("DEFAULT_AGENT", "actor")
    assert default_agents(folder) == ("actor", "actor")
    monkeypatch.setenv("DEFAULT_PERSONA", "clerk")
    assert default_agents(folder) == ("actor", "clerk")


def test_the_sample_agents_have_their_own_defaults(folder: Path) -> None:
    for key in ("support_triage", "assistant"):
        (folder / f"{key}.yaml").write_text(f"key: {key}\n{AGENT}")
    assert default_agents(folder) == ("support_triage", "assistant")


def test_the_example_of_the_ready_line_fits_the_loaded_agent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "clerk.yaml").write_text(
        """key: clerk
version: "1"
route: played
instructions: Help.
input_schema:
  type: object
  required: [employee, amount, kind]
  properties:
    employee: { type: string }
    amount: { type: number, minimum: 5 }
    kind: { enum: [travel, meal] }
    note: { type: string }
"""
    )
    default_agents(folder)
    agents = read_agents(AgentDirectory(folder).read())
    assert example_input(agents) == {"employee": "example", "amount": 5, "kind": "travel"}


def test_the_example_of_the_ready_line_fits_the_sample_agent() -> None:
    agents = read_agents(AgentDirectory(Path("agents")).read())
    assert example_input(agents)["ticket_subject"] == "Charged twice for June invoice"
