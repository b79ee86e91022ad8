"""The local Lambda endpoint runs agents from files: `./folder/app.py:handler`."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runyard_dev.lambda_.own_code import OwnCode, interpreter_for

_APP = """
import os
from runyard import agent

@agent
async def handler(ctx, data):
    print("the code may print")
    return {"answer": VALUE, "pid": os.getpid()}

VALUE = 1

@agent
async def killed(ctx, data):
    os._exit(3)
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "app.py").write_text(_APP)
    return tmp_path


@pytest.fixture
def own_code(base: Path) -> Iterator[OwnCode]:
    functions = OwnCode(base)
    yield functions
    functions.close()


def invoke(own_code: OwnCode, name: str, seconds: float = 30) -> tuple[Any, bool]:
    agent = own_code.find(name)
    assert agent is not None
    not_after = datetime.now(UTC) + timedelta(seconds=seconds)
    run = {"id": "run", "agent": "claims", "input": {}}
    request = {"protocol": 1, "run": run, "journal": [], "not_after": not_after.isoformat()}
    body, is_failure = own_code.invoke(agent, json.dumps(request).encode())
    return json.loads(body), is_failure


def test_each_second_invocation_is_cold(own_code: OwnCode) -> None:
    outputs = [invoke(own_code, "./claims/app.py:handler")[0]["output"] for _ in range(4)]
    assert [output["answer"] for output in outputs] == [1, 1, 1, 1]
    pids = [output["pid"] for output in outputs]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert os.getpid() not in pids


def test_changed_code_is_used_by_the_next_invocation(own_code: OwnCode, base: Path) -> None:
    before = own_code.find("claims/app.py:handler")
    assert invoke(own_code, "claims/app.py:handler")[0]["output"]["answer"] == 1
    (base / "claims" / "app.py").write_text(_APP.replace("VALUE = 1", "VALUE = 2"))
    after = own_code.find("claims/app.py:handler")
    assert before
    assert after
    assert before.sha256 != after.sha256
    assert invoke(own_code, "claims/app.py:handler")[0]["output"]["answer"] == 2


def test_a_process_that_dies_is_reported_as_lambda_reports_it(own_code: OwnCode) -> None:
    error, is_failure = invoke(own_code, "claims/app.py:killed")
    assert is_failure
    assert error["errorType"] == "Runtime.ExitError"


def test_code_that_cannot_be_imported_says_why(own_code: OwnCode, base: Path) -> None:
    (base / "claims" / "app.py").write_text("import no_such_module")
    error, is_failure = invoke(own_code, "claims/app.py:handler")
    assert is_failure
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "no_such_module" in error["errorMessage"]


_TEMPLATE = """
Resources:
  Claims:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: runyard-agent-claims, CodeUri: claims, Handler: app.handler }
  Gone:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: runyard-agent-gone, CodeUri: claims, Handler: gone.handler }
  Computed:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: !Sub "${Stage}-claims", CodeUri: claims, Handler: app.handler }
  Unnamed:
    Type: AWS::Serverless::Function
    Properties: { CodeUri: claims, Handler: app.handler }
  Topic: { Type: AWS::SNS::Topic }
"""


def test_a_function_of_the_template_of_the_project_runs_by_its_name(
    own_code: OwnCode, base: Path
) -> None:
    assert own_code.find("runyard-agent-claims") is None
    (base / "template.yaml").write_text(_TEMPLATE)
    assert invoke(own_code, "runyard-agent-claims")[0]["output"]["answer"] == 1
    assert own_code.find("runyard-agent-gone") is None, "it has no file"
    assert own_code.find("Unnamed") is None
    renamed = _TEMPLATE.replace("runyard-agent-claims", "runyard-agent-other")
    (base / "template.yaml").write_text(renamed)
    os.utime(base / "template.yaml", (1, 1))
    assert own_code.find("runyard-agent-claims") is None
    assert own_code.find("runyard-agent-other") is not None


def test_a_template_that_is_not_yaml_is_reported(
    own_code: OwnCode, base: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (base / "template.yaml").write_text("Resources: {")
    assert own_code.find("runyard-agent-claims") is None
    assert "template.yaml cannot be read" in capfd.readouterr().out


@pytest.mark.parametrize("name", ["runyard-run-step", "claims/app.py", "claims/no.py:handler", ""])
def test_other_names_are_not_files(own_code: OwnCode, name: str) -> None:
    assert own_code.find(name) is None


def test_the_nearest_virtual_environment_runs_the_code(base: Path) -> None:
    app = base / "claims" / "app.py"
    assert interpreter_for(app, base) == Path(sys.executable)
    python = base / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert interpreter_for(app, base) == python
