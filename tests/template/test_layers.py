"""What the layers hold, and what a function loads of it before it answers."""

import json
import re
from pathlib import Path

import pytest

from tests.template.repository import FUNCTIONS, ROOT, Translated, told_by_a_new_process

LAYER_LOCKS = tuple(
    ROOT / "layers" / name / "requirements.txt" for name in ("dependencies", "models")
)
DEV_LOCK = ROOT / "requirements" / "dev.txt"
LOCKS = (*LAYER_LOCKS, *sorted((ROOT / "requirements").glob("*.txt")))

FRAMEWORK = ["fastapi", "starlette"]  # Half a second of a cold start.
MODELS = ["pydantic_ai", "anthropic", "openai"]  # Two seconds.
# FastAPI loads the one for a parameter that it validates; the other is for agents' files.
NOT_YET = ["pydantic.v1", "yaml"]
ASYNC = ["asyncio"]  # A twenty-fifth of their cold start; they wait for nothing at once.


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LAYER_LOCKS, ids=lambda lock: lock.parent.name)
def test_what_is_shipped_is_what_is_tested(lock: Path) -> None:
    tested = pins(DEV_LOCK)
    shipped = pins(lock)
    assert shipped
    assert {name: tested.get(name) for name in shipped} == shipped


def test_the_packages_of_the_stock_clients_are_pinned_and_name_no_address() -> None:
    lock = json.loads((ROOT / "tests" / "clients" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def test_the_layer_with_the_models_holds_all_that_the_other_one_does() -> None:
    dependencies, models = map(pins, LAYER_LOCKS)
    assert dependencies.items() <= models.items()
    assert {"pydantic-ai-slim", "anthropic", "openai"} <= models.keys() - dependencies.keys()


def test_only_run_step_has_the_layer_with_the_models(translated: Translated) -> None:
    having = {
        function
        for function in FUNCTIONS
        for layer in translated.properties(function)["Layers"]
        if isinstance(layer, dict) and layer.get("Ref", "").startswith("ModelsLayer")
    }
    assert having == {"RunStepFunction"}


@pytest.mark.parametrize("lock", LAYER_LOCKS, ids=lambda lock: lock.parent.name)
def test_a_layer_leaves_to_the_runtime_what_the_runtime_brings(lock: Path) -> None:
    """boto3 and botocore would be the largest part of the layer."""
    assert pins(lock).keys() & {"boto3", "botocore", "s3transfer", "awslambdaric"} == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}/{lock.name}")
def test_a_lock_file_names_no_address_and_no_machine(lock: Path) -> None:
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
def test_a_cold_start_loads_nothing_in_vain(function: str, unwanted: list[str]) -> None:
    code = "import handler, json, sys; print(json.dumps(sorted(sys.modules)))"
    assert set(unwanted) & set(told_by_a_new_process(code, function)) == set()


@pytest.mark.parametrize("function", ["api", "run_step", "request_input", "close_run", "sweep"])
def test_a_cold_start_builds_none_of_our_models(function: str) -> None:
    """Each takes about a millisecond, and a function uses few of those that it imports."""
    built = """
import handler, json, pydantic

def models(of):
    return [each for model in of.__subclasses__() for each in [model, *models(model)]]

own = "runyard_service."
ours = [each for each in models(pydantic.BaseModel) if each.__module__.startswith(own)]
assert ours
print(json.dumps([each.__qualname__ for each in ours if each.__pydantic_complete__]))
"""
    # run_step asks its settings what to import while it starts.
    assert set(told_by_a_new_process(built, function)) <= (
        {"Settings"} if function == "run_step" else set()
    )


def test_the_first_request_makes_no_client_but_that_of_the_tables() -> None:
    """S3's takes a tenth of a cold start, and to look at a run needs none of it."""
    made = """
import json, botocore.session

asked, create = [], botocore.session.Session.create_client

def noted(self, service, *arguments, **options):
    asked.append(service)
    return create(self, service, *arguments, **options)

botocore.session.Session.create_client = noted
from runyard_service.container import container
container().services
print(json.dumps(asked))
"""
    assert told_by_a_new_process(made, "api", {"AGENTS_OBJECT_KEY": "agents/agents.json"}) == [
        "dynamodb"
    ]


@pytest.mark.parametrize("function", ["api", "run_step"])
def test_garbage_is_collected_once_the_imports_are_done(function: str) -> None:
    told = (
        "import gc, handler, json; print(json.dumps([gc.isenabled(), gc.get_freeze_count() > 0]))"
    )
    assert told_by_a_new_process(told, function) == [True, True]
