"""The registry: versions of personas, their routes, and changes of their files."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.registry import Registry
from runyard_service.domain.errors import DefinitionError, StoreUnavailableError
from runyard_service.domain.request_errors import InvalidRequestError

ROUTES = """\
played: { model: "scripted:tale" }
real: { model: "openai:m", reasoning: low }
other: { model: "anthropic:m" }
"""
SCRIPT = "dialogues: [{ name: d, turns: [{ say: hi }] }]\n"


def agent(key: str, version: str, route: str = "real") -> str:
    return (
        f'key: {key}\nversion: "{version}"\nroute: {route}\n'
        "instructions: Help.\ninput_schema: { type: object }\n"
    )


class Files:
    """Agent files that a test can change, in a source that it can break."""

    def __init__(self) -> None:
        self.files = {
            "routes.yaml": ROUTES,
            "scripts/tale.yaml": SCRIPT,
            "a.yaml": agent("clerk", "1.9"),
            "b.yaml": agent("clerk", "1.10", "played"),
            "c.yaml": agent("clerk", "1.10-beta"),
            "d.yaml": agent("actor", "2"),
        }
        self.reads = 0
        self.failure: Exception | None = None

    def fingerprint(self) -> str:
        if self.failure:
            raise self.failure
        return str(self.files)

    def read(self) -> Mapping[str, str]:
        self.reads += 1
        return self.files


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def registry(files: Files) -> Registry:
    return Registry(files)


def errors(registry: Registry, persona: str, **chosen: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        registry.resolve(persona, **chosen)
    return caught.value.details


def test_personas_are_sorted_by_key_and_from_the_newest_version(registry: Registry) -> None:
    found = [(persona.snapshot.name, persona.is_newest) for persona in registry.personas()]
    assert found == [
        ("actor@2", True),
        ("clerk@1.10-beta", True),
        ("clerk@1.10", False),
        ("clerk@1.9", False),
    ]


def test_a_key_without_version_means_the_newest_version(registry: Registry) -> None:
    assert registry.agent("clerk").name == "clerk@1.10-beta"
    assert registry.agent("clerk@1.9").name == "clerk@1.9"
    for name in ("clerk@3", "clerk@", "unknown", ""):
        with pytest.raises(DefinitionError, match="there is no agent"):
            registry.agent(name)


def test_routes_have_the_order_of_their_file(registry: Registry) -> None:
    assert list(registry.routes()) == ["played", "real", "other"]


def test_a_persona_has_its_own_route_by_default(registry: Registry) -> None:
    own = registry.resolve("clerk@1.10")
    assert (own.route_id, own.route.model) == ("played", "scripted:tale")
    assert own.script is not None
    assert own == registry.agent("clerk@1.10")


def test_a_persona_can_use_a_requested_route(registry: Registry) -> None:
    chosen = registry.resolve("clerk@1.10", route_id="other")
    assert (chosen.route_id, chosen.route.model) == ("other", "anthropic:m")
    assert chosen.definition.route == "played"
    assert chosen.script is None
    assert registry.resolve("actor", route_id="played").script is not None


@pytest.mark.parametrize(
    ("model", "route_id"), [("m", "real"), ("anthropic:m", "other"), ("tale", "played")]
)
def test_a_model_means_the_first_route_to_it(registry: Registry, model: str, route_id: str) -> None:
    assert registry.resolve("actor", model=model).route_id == route_id


def test_route_and_model_must_agree(registry: Registry) -> None:
    assert registry.resolve("actor", route_id="other", model="m").route_id == "other"
    assert errors(registry, "actor", route_id="other", model="openai:m") == {
        "model": "route 'other' uses model 'anthropic:m'"
    }


def test_requested_reasoning_overrides_the_reasoning_of_the_route(registry: Registry) -> None:
    assert registry.resolve("actor").route.reasoning == "low"
    assert registry.resolve("actor", reasoning="high").route.reasoning == "high"
    assert registry.resolve("actor", reasoning="off").route.reasoning == "off"
    assert registry.routes()["real"].reasoning == "low"


def test_every_unknown_name_is_reported(registry: Registry) -> None:
    assert errors(registry, "clerk@3", route_id="x") == {
        "persona_id": "persona 'clerk@3' does not exist; known: clerk@1.10, "
        "clerk@1.10-beta, clerk@1.9; did you mean 'clerk@1.9'?",
        "route_id": "route 'x' does not exist",
    }
    assert errors(registry, "unknown", model="x") == {
        "persona_id": "persona 'unknown' does not exist; known: actor, clerk",
        "model": "no route uses model 'x'",
    }


def test_changed_files_are_read_again(registry: Registry, files: Files) -> None:
    for _ in range(3):
        registry.agent("actor")
    assert files.reads == 1
    files.files = {**files.files, "e.yaml": agent("actor", "3")}
    assert registry.agent("actor").name == "actor@3"
    assert files.reads == 2


def test_invalid_files_do_not_change_the_agents(
    registry: Registry, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    registry.agent("actor")
    sound, files.files = files.files, {**files.files, "d.yaml": "key: actor\n"}
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert registry.agent("actor").name == "actor@2"
    assert len(caplog.records) == 1
    assert "d.yaml, line 1: version: is required" in caplog.text
    assert files.reads == 2
    files.files = {**sound, "d.yaml": agent("actor", "4")}
    assert registry.agent("actor").name == "actor@4"


def test_an_unavailable_source_does_not_change_the_agents(
    registry: Registry, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    files.failure = StoreUnavailableError("SlowDown")
    with pytest.raises(StoreUnavailableError):
        registry.agent("actor")
    files.failure = None
    registry.agent("actor")
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            files.failure = StoreUnavailableError("SlowDown")
            for _ in range(3):
                assert registry.agent("actor").name == "actor@2"
            files.failure = None
            registry.agent("actor")
    assert len(caplog.records) == 2, "once for each time that it failed"


def test_a_stored_agent_of_a_later_release_can_be_read(registry: Registry) -> None:
    stored = registry.agent("actor").to_stored()
    later = {**stored, "mood": "good", "route": {**stored["route"], "colour": "blue"}}
    assert Snapshot.from_stored(later) == Snapshot.from_stored(stored)
