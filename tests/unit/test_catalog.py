"""The catalog: personas in versions, on routes; and what becomes of changes to their files."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.registry import Registry
from runyard_service.domain.errors import (
    DefinitionError,
    InvalidRequestError,
    StoreUnavailableError,
)

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
    """Files that a test can change, and a source that it can break."""

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
def catalog(files: Files) -> Registry:
    return Registry(files)


def faults(catalog: Registry, persona: str, **chosen: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        catalog.resolve(persona, **chosen)
    return caught.value.details


def test_personas_are_sorted_by_key_and_the_newest_version_comes_first(catalog: Registry) -> None:
    found = [(persona.snapshot.name, persona.is_newest) for persona in catalog.personas()]
    assert found == [
        ("actor@2", True),
        ("clerk@1.10-beta", True),
        ("clerk@1.10", False),
        ("clerk@1.9", False),
    ]


def test_a_key_alone_means_its_newest_version(catalog: Registry) -> None:
    assert catalog.agent("clerk").name == "clerk@1.10-beta"
    assert catalog.agent("clerk@1.9").name == "clerk@1.9"
    for name in ("clerk@3", "clerk@", "nobody", ""):
        with pytest.raises(DefinitionError, match="there is no agent"):
            catalog.agent(name)


def test_routes_keep_the_order_of_their_file(catalog: Registry) -> None:
    assert list(catalog.routes()) == ["played", "real", "other"]


def test_a_persona_comes_on_its_own_route(catalog: Registry) -> None:
    own = catalog.resolve("clerk@1.10")
    assert (own.route_id, own.route.model) == ("played", "scripted:tale")
    assert own.script is not None
    assert own == catalog.agent("clerk@1.10")


def test_a_persona_comes_on_the_route_that_is_asked_for(catalog: Registry) -> None:
    chosen = catalog.resolve("clerk@1.10", route_id="other")
    assert (chosen.route_id, chosen.route.model) == ("other", "anthropic:m")
    assert chosen.definition.route == "played"
    assert chosen.script is None
    assert catalog.resolve("actor", route_id="played").script is not None


@pytest.mark.parametrize(
    ("model", "route_id"), [("m", "real"), ("anthropic:m", "other"), ("tale", "played")]
)
def test_a_model_means_the_first_route_to_it(catalog: Registry, model: str, route_id: str) -> None:
    assert catalog.resolve("actor", model=model).route_id == route_id


def test_route_and_model_must_agree(catalog: Registry) -> None:
    assert catalog.resolve("actor", route_id="other", model="m").route_id == "other"
    assert faults(catalog, "actor", route_id="other", model="openai:m") == {
        "model": "the route 'other' leads to 'anthropic:m'"
    }


def test_reasoning_goes_before_the_routes_own(catalog: Registry) -> None:
    assert catalog.resolve("actor").route.reasoning == "low"
    assert catalog.resolve("actor", reasoning="high").route.reasoning == "high"
    assert catalog.resolve("actor", reasoning="off").route.reasoning == "off"
    assert catalog.routes()["real"].reasoning == "low"


def test_whatever_leads_nowhere_is_named(catalog: Registry) -> None:
    assert faults(catalog, "clerk@3", route_id="x") == {
        "persona_id": "there is no persona 'clerk@3'",
        "route_id": "there is no route 'x'",
    }
    assert faults(catalog, "nobody", model="x") == {
        "persona_id": "there is no persona 'nobody'",
        "model": "there is no route to 'x'",
    }


def test_files_are_read_again_when_they_have_changed(catalog: Registry, files: Files) -> None:
    for _ in range(3):
        catalog.agent("actor")
    assert files.reads == 1
    files.files = {**files.files, "e.yaml": agent("actor", "3")}
    assert catalog.agent("actor").name == "actor@3"
    assert files.reads == 2


def test_faulty_files_leave_the_agents_as_they_were(
    catalog: Registry, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    catalog.agent("actor")
    sound, files.files = files.files, {**files.files, "d.yaml": "key: actor\n"}
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert catalog.agent("actor").name == "actor@2"
    assert len(caplog.records) == 1
    assert "d.yaml, line 1: version: is required" in caplog.text
    assert files.reads == 2
    files.files = {**sound, "d.yaml": agent("actor", "4")}
    assert catalog.agent("actor").name == "actor@4"


def test_a_source_that_does_not_answer_leaves_the_agents_as_they_were(
    catalog: Registry, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    files.failure = StoreUnavailableError("SlowDown")
    with pytest.raises(StoreUnavailableError):
        catalog.agent("actor")
    files.failure = None
    catalog.agent("actor")
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            files.failure = StoreUnavailableError("SlowDown")
            for _ in range(3):
                assert catalog.agent("actor").name == "actor@2"
            files.failure = None
            catalog.agent("actor")
    assert len(caplog.records) == 2, "once for each time that it failed"


def test_a_kept_agent_that_a_later_release_wrote_can_be_read(catalog: Registry) -> None:
    kept = catalog.agent("actor").stored()
    later = {**kept, "mood": "good", "route": {**kept["route"], "colour": "blue"}}
    assert Snapshot.to_stored(later) == Snapshot.to_stored(kept)
