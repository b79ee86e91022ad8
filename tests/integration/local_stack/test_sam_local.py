"""Test the input of `sam local`: functions and variables of the template, and local emulators."""

from pathlib import Path
from typing import Any

import pytest

from runyard_dev.clients import ENDPOINTS
from runyard_dev.dev_stack import DevStack
from runyard_dev.sam_env import environments, with_endpoints
from runyard_dev.template.cloudformation import load_document
from runyard_dev.template.template import LocalTemplate, read_template

TEMPLATE = Path("template.yaml")
HOST = "host.docker.internal"


@pytest.fixture(scope="module")
def template() -> LocalTemplate:
    return read_template(TEMPLATE, region="us-east-1")


@pytest.fixture
def written(template: LocalTemplate, stack: DevStack) -> dict[str, dict[str, str]]:
    return environments(template, stack.environment, HOST)


def test_every_function_gets_all_its_variables_and_no_others(
    template: LocalTemplate, written: dict[str, dict[str, str]]
) -> None:
    assert set(written) == set(template.functions)
    for function, variables in written.items():
        assert set(variables) == {*template.functions[function].environment, *ENDPOINTS}
        assert all(isinstance(value, str) for value in variables.values())


def test_a_container_reaches_the_emulators_and_the_samples(
    stack: DevStack, written: dict[str, dict[str, str]]
) -> None:
    step = written["RunStepFunction"]
    dynamodb = stack.environment["AWS_ENDPOINT_URL_DYNAMODB"]
    assert step["AWS_ENDPOINT_URL_DYNAMODB"] == dynamodb.replace("127.0.0.1", HOST)
    assert step["HTTP_ALLOWED_PRIVATE_HOSTS"].startswith(f"{HOST}:")
    assert step["RECORDS_TABLE"] == stack.environment["RECORDS_TABLE"]
    here = {name for name in stack.environment if name.startswith("AWS_ENDPOINT_URL")}
    assert here <= set(step), "without an address, it would use AWS"
    assert written["ApiFunction"]["AGENTS_OBJECT_KEY"] == "agents/agents.json"
    assert not [value for each in written.values() for value in each.values() if "127.0" in value]


def test_sam_sets_only_what_a_template_names_so_it_names_the_emulators() -> None:
    document: dict[str, Any] = load_document(TEMPLATE)
    before = document["Globals"]["Function"]
    after = with_endpoints(document)["Globals"]["Function"]
    added = set(after["Environment"]["Variables"]) - set(before["Environment"]["Variables"])
    assert added == set(ENDPOINTS)
    assert {**after, "Environment": 0} == {**before, "Environment": 0}
