"""The template of a project that `runyard new` creates: the gates accept it, and SAM builds it."""

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runyard.project.scaffold import new_project
from runyard.project.service_files import installed_service
from tests.support.built_artifacts import python_folder
from tests.template.conftest import SAM_PYTHON
from tests.template.repository import FUNCTIONS, Translated
from tests.template.test_sam_commands import received_by_sam, rejected_parameters

Check = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new project, in a folder with a space in its name."""
    parent = tmp_path_factory.mktemp("my projects")
    return new_project("shop", parent, installed_service())


def test_the_gates_accept_it(project: Path, check_template: Check) -> None:
    """The gate sam-lint is left out: it takes long, and sees what it sees in the service's."""
    gates = ("sam", "cloudformation", "states")
    done = check_template(*gates, "--template", str(project / "template.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": ok") == len(gates)


def test_it_is_the_template_of_the_service_and_a_few_resources(
    project: Path, translated: Translated, check_template: Check
) -> None:
    done = check_template("--translated", "--template", str(project / "template.yaml"))
    assert done.returncode == 0, done.stderr
    whole, service = json.loads(done.stdout), translated.document
    for section in ("Parameters", "Conditions", "Rules"):
        assert whole[section] == service[section]
    added = whole["Resources"].keys() - service["Resources"].keys()
    kinds = {whole["Resources"][name]["Type"] for name in added}
    assert kinds == {
        "AWS::IAM::Role",
        "AWS::Lambda::Alias",
        "AWS::Lambda::Function",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Version",
    }
    assert set(FUNCTIONS) <= whole["Resources"].keys()
    names = {
        whole["Resources"][name]["Properties"].get("FunctionName")
        for name in added
        if whole["Resources"][name]["Type"] == "AWS::Lambda::Function"
    }
    prefixes = [
        service["Parameters"][name]["Default"]
        for name in ("AgentFunctionPrefix", "ToolFunctionPrefix")
    ]
    assert names == {f"{prefixes[0]}refunds", f"{prefixes[1]}lookup-order"}


def test_sam_receives_the_parameters_of_its_samconfig(project: Path) -> None:
    config: dict[str, Any] = tomllib.loads((project / "samconfig.toml").read_text())
    stages = {"default": "dev", "prod": "prod"}
    lines = [config[name]["deploy"]["parameters"]["parameter_overrides"] for name in stages]
    found = received_by_sam([["deploy", "--parameter-overrides", line] for line in lines])
    for (name, stage), received in zip(stages.items(), found, strict=True):
        assert received is not None
        assert received["Stage"] == stage
        assert received["DefaultAgent"] == received["DefaultPersona"] == "refunds"
        assert rejected_parameters(received) == []
        assert config[name]["global"]["parameters"]["stack_name"] == f"shop-{stage}"


def test_sam_builds_the_code_of_its_agent_and_the_core_layer(project: Path) -> None:
    """The other layers need wheels from a package index. `make test-deploy` builds them."""
    python = python_folder()
    if python is None:
        pytest.skip("needs Python 3.13")
    path = f"{python}{os.pathsep}{os.environ['PATH']}"
    offline = {"PIP_NO_INDEX": "1", "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    for resource in ("RefundsFunction", "CoreLayer"):
        run(
            *(str(SAM_PYTHON), "-m", "samcli", "build", resource, "--build-dir", resource),
            cwd=project,
            env={**os.environ, **offline, "PATH": path},
        )
    assert (project / "CoreLayer/CoreLayer/python/runyard_service/container.py").exists()
    # As Lambda imports it: with the layer of its package, and nothing else.
    layer = project / "vendor/runyard/agent_code/python"
    code = f"import sys; sys.path[:0] = ['.', {str(layer)!r}]; import app; print(app.handler)"
    run(
        str(python / "python3.13"),
        "-I",
        "-c",
        code,
        cwd=project / "RefundsFunction/RefundsFunction",
    )


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
