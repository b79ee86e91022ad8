"""The content of the layers, and the modules that a function loads at its start."""

import json
import re
from pathlib import Path

import pytest

from tests.template.repository import FUNCTIONS, ROOT, Translated, output_of_new_process

LAYER_LOCKS = tuple(
    ROOT / "layers" / name / "requirements.txt" for name in ("dependencies", "models")
)
DEV_LOCK = ROOT / "requirements" / "dev.txt"
LOCKS = (*LAYER_LOCKS, *sorted((ROOT / "requirements").glob("*.txt")))

FRAMEWORK = ["fastapi", "starlette"]  # Half a second of a cold start.
MODELS = ["pydantic_ai", "anthropic", "openai"]  # Two seconds.
# FastAPI loads the first for a parameter that it validates; the second is for agent files.
NOT_YET = ["pydantic.v1", "yaml"]
ASYNC = ["asyncio"]  # 4 % of their cold start; they make no concurrent calls.


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LAYER_LOCKS, ids=lambda lock: lock.parent.name)
def test_shipped_packages_have_the_tested_versions(lock: Path) -> None:
    tested = pins(DEV_LOCK)
    shipped = pins(lock)
    assert shipped
    assert {name: tested.get(name) for name in shipped} == shipped


@pytest.mark.parametrize("folder", ["examples/javascript", "tools/docs_site"])
def test_npm_packages_are_pinned_without_addresses(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def test_the_models_layer_contains_every_package_of_the_core_layer() -> None:
    dependencies, models = map(pins, LAYER_LOCKS)
    assert dependencies.items() <= models.items()
    assert {"pydantic-ai-slim", "anthropic", "openai"} <= models.keys() - dependencies.keys()


def test_only_run_step_has_the_models_layer(translated: Translated) -> None:
    having = {
        function
        for function in FUNCTIONS
        for layer in translated.properties(function)["Layers"]
        if isinstance(layer, dict) and layer.get("Ref", "").startswith("ModelsLayer")
    }
    assert having == {"RunStepFunction"}


@pytest.mark.parametrize("lock", LAYER_LOCKS, ids=lambda lock: lock.parent.name)
def test_a_layer_does_not_contain_packages_of_the_runtime(lock: Path) -> None:
    """boto3 and botocore would be the largest packages of the layer."""
    assert pins(lock).keys() & {"boto3", "botocore", "s3transfer", "awslambdaric"} == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}/{lock.name}")
def test_a_lock_file_contains_no_address_and_no_host(lock: Path) -> None:
    lines = [line.strip() for line in lock.read_text().splitlines()]
    strange = [line for line in lines if not re.match(r"#|--hash=sha256:|[a-z0-9-]+==", line)]
    assert strange == []
    assert "://" not in lock.read_text()


@pytest.mark.parametrize(
    ("function", "unwanted"),
    [
        ("api", MODELS + NOT_YET),
        ("run_step", FRAMEWORK + NOT_YET),
        ("request_input", FRAMEWORK + MODELS + NOT_YET + ASYNC),
        ("close_run", FRAMEWORK + MODELS + NOT_YET + ASYNC),
        ("sweep", FRAMEWORK + MODELS + NOT_YET + ASYNC),
        ("publish_agents", FRAMEWORK + MODELS),
        ("publish_events", FRAMEWORK + MODELS + NOT_YET + ASYNC),
        ("deliver_webhook", FRAMEWORK + MODELS + NOT_YET),
    ],
)
def test_a_cold_start_loads_no_unused_packages(function: str, unwanted: list[str]) -> None:
    code = "import handler, json, sys; print(json.dumps(sorted(sys.modules)))"
    assert set(unwanted) & set(output_of_new_process(code, function)) == set()


@pytest.mark.parametrize("function", ["api", "run_step", "request_input", "close_run", "sweep"])
def test_a_cold_start_builds_no_pydantic_models(function: str) -> None:
    """Each model takes about 1 ms, and a function uses few of its imported models."""
    code = """
import handler, json, pydantic

def models(of):
    return [found for model in of.__subclasses__() for found in [model, *models(model)]]

own = "runyard_service."
ours = [model for model in models(pydantic.BaseModel) if model.__module__.startswith(own)]
assert ours
print(json.dumps([model.__qualname__ for model in ours if model.__pydantic_complete__]))
"""
    # run_step reads its settings at the start, to decide which modules to import.
    assert set(output_of_new_process(code, function)) <= (
        {"Settings"} if function == "run_step" else set()
    )


def test_the_first_request_creates_only_the_dynamodb_client() -> None:
    """The S3 client takes 10 % of a cold start, and a request that reads a run does not need it."""
    code = """
import json, botocore.session

created, create = [], botocore.session.Session.create_client

def create_and_record(self, service, *arguments, **options):
    created.append(service)
    return create(self, service, *arguments, **options)

botocore.session.Session.create_client = create_and_record
from runyard_service.container import container
container().services
print(json.dumps(created))
"""
    assert output_of_new_process(code, "api", {"AGENTS_OBJECT_KEY": "agents/agents.json"}) == [
        "dynamodb"
    ]


@pytest.mark.parametrize("function", ["api", "run_step"])
def test_the_garbage_collector_is_enabled_after_the_imports(function: str) -> None:
    code = (
        "import gc, handler, json; print(json.dumps([gc.isenabled(), gc.get_freeze_count() > 0]))"
    )
    assert output_of_new_process(code, function) == [True, True]
