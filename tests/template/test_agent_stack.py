"""The example stack of an agent in its own code: its function may write its log group, only."""

import importlib.util
import sys
from types import ModuleType

import pytest

from runyard.testing import run
from runyard_dev.template.cloudformation import load_document
from tests.template.repository import ROOT

STACK = ROOT / "examples" / "own_code" / "aws"
NAME = "runyard-agent-claims"


def test_the_role_may_write_its_own_log_group_and_nothing_else() -> None:
    resources = load_document(STACK / "template.yaml")["Resources"]
    role = resources["ClaimsRole"]["Properties"]
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    group = resources["ClaimsLogs"]["Properties"]["LogGroupName"]
    assert set(role) == {"AssumeRolePolicyDocument", "Policies"}
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"]["Fn::Sub"].endswith(f":log-group:{group}:*")


def test_runyard_may_invoke_its_function_and_finds_its_alias() -> None:
    prefix = load_document(ROOT / "template.yaml")["Parameters"]["AgentFunctionPrefix"]["Default"]
    function = load_document(STACK / "template.yaml")["Resources"]["ClaimsFunction"]["Properties"]
    assert function["FunctionName"] == NAME
    assert NAME.startswith(prefix)
    assert function["AutoPublishAlias"] == "live"
    assert function["Role"] == {"Fn::GetAtt": ["ClaimsRole", "Arn"]}
    assert "Policies" not in function  # SAM adds rights for some properties only to its own role.


@pytest.fixture
def app() -> ModuleType:
    """Return the module of the function."""
    spec = importlib.util.spec_from_file_location("claims_app", STACK / "claims" / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("is_approved", "paid"), [(True, "paid 30 for order 7"), (False, None)])
def test_its_code_pays_what_is_approved(
    app: ModuleType, is_approved: bool, paid: str | None
) -> None:
    answer = {"is_approved": is_approved, "params": {"amount": 30}}
    assert run(app.handler, {"order": 7}, answers=[answer]).output == {"paid": paid}
