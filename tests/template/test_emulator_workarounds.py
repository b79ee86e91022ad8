"""The emulator workarounds of the deployment test still match the template."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests import second_emulator
from tests.deployment.emulator_workarounds import SKIPPED_TESTS, WORKAROUNDS
from tests.template.repository import ROOT, Translated


def _variables(template: Translated) -> list[Any]:
    functions = template.of_type("AWS::Lambda::Function").values()
    return [value for each in functions for value in each["Environment"]["Variables"].values()]


def _functions(template: Translated) -> list[dict[str, Any]]:
    return list(template.of_type("AWS::Lambda::Function").values())


def _contains(template: Translated, word: str) -> bool:
    return word in str(template.document)


# The part of the template that needs each step. A step without such a part can be deleted.
NEEDED: dict[str, Callable[[Translated], bool]] = {
    "architecture": lambda template: all(
        function["Architectures"] == ["arm64"] for function in _functions(template)
    ),
    "opt": lambda template: "/opt" in _variables(template),
    "errors": lambda template: _contains(template, "ModelUnavailableError"),
    "encryption": lambda template: _contains(template, "aws:SecureTransport"),
    "tokens": lambda template: _contains(template, "states:SendTaskSuccess"),
    "batches": lambda template: _contains(template, "sqs:SendMessage"),
    "alarms": lambda template: any(
        "Metrics" in alarm for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
    ),
    "secrets": lambda template: {"Ref": "TicketSecret"} in _variables(template),
    "waits": lambda template: _contains(template, "TimeoutSecondsPath"),
    "routes": lambda template: len(template.of_type("AWS::ApiGatewayV2::Api")) == 1,
    "addresses": lambda template: len(template.of_type("AWS::Lambda::Url")) == 1,
    "streaming": lambda template: any(
        function["Handler"].endswith(".sh") for function in _functions(template)
    ),
}


@pytest.mark.parametrize("step", WORKAROUNDS)
def test_the_template_needs_each_step(translated: Translated, step: str) -> None:
    assert NEEDED[step](translated)


def test_every_integration_has_the_fields_for_a_route(translated: Translated) -> None:
    (api,) = translated.of_type("AWS::ApiGatewayV2::Api").values()
    for methods in api["Body"]["paths"].values():
        for operation in methods.values():
            integration = operation["x-amazon-apigateway-integration"]
            required = {"type", "uri", "httpMethod", "payloadFormatVersion", "timeoutInMillis"}
            assert required <= set(integration)


def test_the_template_has_the_outputs_that_the_deployment_test_reads(
    translated: Translated,
) -> None:
    asked = "".join(
        (ROOT / "tests" / file).read_text(encoding="utf-8")
        for file in (
            "support/deployed_stack.py",
            "deployment/emulator.py",
            "deployment/project_rehearsal.py",
            "deployment/stack_lifecycle.py",
        )
    )
    outputs = set(re.findall(r'outputs\["(\w+)"\]', asked))
    assert outputs >= {"ApiUrl", "StreamUrl", "EventsTableName"}
    assert outputs <= set(translated.document["Outputs"])
    assert set(re.findall(r'parameters\["(\w+)"\]', asked)) <= set(
        translated.document["Parameters"]
    )
    overridden = set(re.findall(r"""["'](\w+)=""", asked))
    assert overridden >= {"AgentVariables", "HttpAllowedPrivateHosts", "LogLevel"}
    assert overridden <= set(translated.document["Parameters"])


def test_the_steps_are_written_for_the_installed_emulator_version() -> None:
    group = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'"ministack==([\d.]+)"', group)
    locked = (ROOT / "requirements" / "deployment.txt").read_text(encoding="utf-8")
    assert f"ministack=={version} " in locked


@pytest.mark.parametrize("skipped", [*SKIPPED_TESTS, *second_emulator.SKIPPED])
def test_a_skipped_test_exists(skipped: str) -> None:
    file, _, name = skipped.partition("[")[0].partition("::")
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8") or not name
