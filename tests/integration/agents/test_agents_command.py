"""Test `runyard agents`: errors in agent files, and publishing without a deployment."""

from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.s3.agent_bundle import BUNDLE_KEY, AgentBundle
from runyard_service.adapters.s3.bucket import Bucket
from tests.support.command_line import run_command

AGENT = """\
key: {key}
version: "{version}"
instructions: Help.
route: real
input_schema: {{ type: object }}
"""


@pytest.fixture(autouse=True)
def _environment(stack: DevStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment of the process to the stack, as a deployed process has AWS."""
    for name, value in stack.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    for name, agent in (("DEFAULT_AGENT", "clerk"), ("DEFAULT_PERSONA", "clerk")):
        monkeypatch.setenv(name, agent)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write two versions of an agent."""
    (tmp_path / "routes.yaml").write_text("real: { model: 'openai:m' }\n")
    for version in ("1.9", "1.10"):
        (tmp_path / f"{version}.yaml").write_text(AGENT.format(key="clerk", version=version))
    return tmp_path


@pytest.fixture
def bundle(stack: DevStack) -> AgentBundle:
    bundle = AgentBundle(
        Bucket(stack.environment["BUCKET"], lambda: stack.client("s3")), BUNDLE_KEY
    )
    bundle.write({"sentinel": "untouched"})
    return bundle


def test_every_version_is_printed_with_its_route_and_model(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "clerk@1.10  real  openai:m\nclerk@1.9   real  openai:m\n"
    assert run_command("agents", "check", str(folder)) == 0
    assert capsys.readouterr().out == lines
    monkeypatch.setenv("AGENTS_DIR", str(folder))
    assert run_command("agents", "check") == 0
    assert capsys.readouterr().out == lines


def test_every_validation_error_is_printed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFAULT_PERSONA", "unknown")
    assert run_command("agents", "check", str(folder)) == 1
    error = "DEFAULT_PERSONA names the unknown agent 'unknown'; known: clerk\n"
    assert capsys.readouterr().err == error
    (folder / "a.yaml").write_text(AGENT.format(key="Clerk", version="1") + "tool: []\n")
    assert run_command("agents", "check", str(folder)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.partition(": Str")[0] for line in printed.err.splitlines()] == [
        "a.yaml, line 1: key",
        "a.yaml, line 6: tool: is not a known field; did you mean 'tools'?",
    ]
    assert run_command("agents", "check", str(folder / "nowhere")) == 1


def test_agents_are_published_to_a_bucket(
    stack: DevStack, folder: Path, bundle: AgentBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run_command("agents", "publish", str(folder), "--bucket", stack.environment["BUCKET"]) == 0
    )
    assert capsys.readouterr().out.endswith(f"published to {bundle.address}\n")
    assert set(bundle.read()) == {"routes.yaml", "1.9.yaml", "1.10.yaml"}


def test_invalid_agents_are_not_published(
    stack: DevStack, folder: Path, bundle: AgentBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "routes.yaml").write_text("real: { model: m }\n")
    assert (
        run_command("agents", "publish", str(folder), "--bucket", stack.environment["BUCKET"]) == 1
    )
    assert "routes.yaml, line 1: real.model" in capsys.readouterr().err
    assert bundle.read() == {"sentinel": "untouched"}


def test_a_missing_bucket_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("agents", "publish", str(folder), "--bucket", "no-such-bucket") == 1
    assert "NoSuchBucket" in capsys.readouterr().err


@pytest.mark.parametrize("default", ["clerk@1.9", "unknown"])
def test_agents_are_published_to_a_deployed_stack_by_name(
    stack: DevStack,
    folder: Path,
    bundle: AgentBundle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    default: str,
) -> None:
    # A mock, because the local stack has no CloudFormation: call and response are those of AWS.
    import boto3

    cloudformation: Any = boto3.client("cloudformation", region_name="us-east-1")
    stubber = Stubber(cloudformation)
    stubber.add_response(
        "describe_stacks",
        {
            "Stacks": [
                {
                    "StackName": "runyard-dev",
                    "CreationTime": 0,
                    "StackStatus": "CREATE_COMPLETE",
                    "Parameters": [
                        {"ParameterKey": "Stage", "ParameterValue": "dev"},
                        {"ParameterKey": "DefaultAgent", "ParameterValue": "clerk"},
                        {"ParameterKey": "DefaultPersona", "ParameterValue": default},
                    ],
                    "Outputs": [
                        {"OutputKey": "ApiUrl", "OutputValue": "http://localhost"},
                        {"OutputKey": "BucketName", "OutputValue": stack.environment["BUCKET"]},
                    ],
                }
            ]
        },
        {"StackName": "runyard-dev"},
    )
    clients = {"cloudformation": cloudformation, "s3": stack.client("s3")}
    monkeypatch.setattr(boto3, "client", clients.__getitem__)
    with stubber:
        code = run_command("agents", "publish", str(folder), "--stack", "runyard-dev")
    stubber.assert_no_pending_responses()
    if default == "unknown":
        assert (code, bundle.read()) == (1, {"sentinel": "untouched"})
        assert "DEFAULT_PERSONA names the unknown agent" in capsys.readouterr().err
    else:
        assert (code, "routes.yaml" in bundle.read()) == (0, True)


@pytest.mark.parametrize(
    "words",
    [
        ("publish",),
        ("publish", "--stack", "s", "--bucket", "b"),
        ("check", "a", "b"),
        ("push",),
    ],
)
def test_a_wrong_command_line_is_rejected(words: tuple[str, ...]) -> None:
    assert run_command("agents", *words) == 2
