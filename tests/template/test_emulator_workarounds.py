"""The rehearsal's steps around its emulator still fit the template."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.deployment.emulator_workarounds import WORKAROUNDS
from tests.template.repository import ROOT, Translated


def _variables(template: Translated) -> list[Any]:
    functions = template.of_type("AWS::Lambda::Function").values()
    return [value for each in functions for value in each["Environment"]["Variables"].values()]


def _functions(template: Translated) -> list[dict[str, Any]]:
    return list(template.of_type("AWS::Lambda::Function").values())


def _statements(template: Translated, word: str) -> bool:
    return word in str(template.document)


# What of the template each step is for. One that nothing is left for can go.
NEEDED: dict[str, Callable[[Translated], bool]] = {
    "architecture": lambda template: all(
        each["Architectures"] == ["arm64"] for each in _functions(template)
    ),
    "opt": lambda template: "/opt" in _variables(template),
    "errors": lambda template: _statements(template, "ModelUnavailableError"),
    "encryption": lambda template: _statements(template, "aws:SecureTransport"),
    "tokens": lambda template: _statements(template, "states:SendTaskSuccess"),
    "batches": lambda template: _statements(template, "sqs:SendMessage"),
    "secrets": lambda template: {"Ref": "TicketSecret"} in _variables(template),
    "waits": lambda template: _statements(template, "TimeoutSecondsPath"),
    "routes": lambda template: len(template.of_type("AWS::ApiGatewayV2::Api")) == 1,
    "addresses": lambda template: len(template.of_type("AWS::Lambda::Url")) == 1,
    "streaming": lambda template: any(
        each["Handler"].endswith(".sh") for each in _functions(template)
    ),
}


@pytest.mark.parametrize("step", WORKAROUNDS)
def test_each_step_is_for_something_in_the_template(translated: Translated, step: str) -> None:
    assert NEEDED[step](translated)


def test_the_routes_are_made_from_what_the_body_has(translated: Translated) -> None:
    (api,) = translated.of_type("AWS::ApiGatewayV2::Api").values()
    for methods in api["Body"]["paths"].values():
        for operation in methods.values():
            integration = operation["x-amazon-apigateway-integration"]
            wanted = {"type", "uri", "httpMethod", "payloadFormatVersion", "timeoutInMillis"}
            assert wanted <= set(integration)


def test_what_a_deployed_stack_is_asked_for_is_there(translated: Translated) -> None:
    asked = "".join(
        (ROOT / "tests" / file).read_text(encoding="utf-8")
        for file in ("support/deployed_stack.py", "deployment/stack_lifecycle.py")
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


def test_the_emulator_is_the_version_that_the_steps_know() -> None:
    group = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (version,) = re.findall(r'"ministack==([\d.]+)"', group)
    locked = (ROOT / "requirements" / "rehearsal.txt").read_text(encoding="utf-8")
    assert f"ministack=={version} " in locked
