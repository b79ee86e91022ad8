"""What the layers hold, and what a function loads of it before it answers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.repository import FUNCTIONS, ROOT, Translated

LAYER_LOCKS = tuple(
    ROOT / "layers" / name / "requirements.txt" for name in ("dependencies", "models")
)
DEV_LOCK = ROOT / "requirements" / "dev.txt"
LOCKS = (*LAYER_LOCKS, *sorted((ROOT / "requirements").glob("*.txt")))

FRAMEWORK = ["fastapi", "starlette"]  # Half a second of a cold start.
MODELS = ["pydantic_ai", "anthropic", "openai"]  # Two seconds.


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
        ("api", MODELS),
        ("run_step", FRAMEWORK),
        ("request_input", FRAMEWORK + MODELS),
        ("close_run", FRAMEWORK + MODELS),
        ("sweep", FRAMEWORK + MODELS),
        ("publish_agents", FRAMEWORK + MODELS),
        ("publish_events", FRAMEWORK + MODELS),
        ("deliver_webhook", FRAMEWORK + MODELS),
    ],
)
def test_a_cold_start_loads_nothing_in_vain(function: str, unwanted: list[str]) -> None:
    """A new process, as in Lambda: the handler's folder and the layer on the path, no more."""
    code = "import handler, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "functions" / function,
        env={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(unwanted) & set(json.loads(done.stdout)) == set()
