"""The examples of own code run on the local stack, as their README says."""

import shutil
from collections.abc import Iterator

import pytest

from runyard_dev.clients import client
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.access_keys import AccessKeys
from runyard_service.adapters.dynamodb.table import Table
from tests.support.framework_agents import ROOT, missing_frameworks
from tests.support.service import Service

EXAMPLES = ROOT / "examples" / "own_code"
Examples = dict[str, Service]
FRAMEWORKS = ("langgraph", "openai-agents", "pydantic-ai", "strands")
needs_frameworks = pytest.mark.skipif(bool(missing_frameworks()), reason=missing_frameworks())


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    """Yield a service for each agent of the examples, with the environments that they need."""
    folder = tmp_path_factory.mktemp("examples") / "own_code"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns(".venv"))
    for name in FRAMEWORKS:
        (folder / name.replace("-", "_") / ".venv").symlink_to(ROOT / ".venv-agents")
    data = tmp_path_factory.mktemp("data")
    with DevStack.start(data_dir=data, agents_dir=folder / "agents", event_sources=False) as stack:
        keys = AccessKeys(
            Table(client("dynamodb", stack.environment), stack.environment["RECORDS_TABLE"])
        )
        services = {}
        for name in ("plain", *FRAMEWORKS):
            keys.save(f"ry_{name}", project_id="dev", org_id="dev", agent=f"refunds-{name}")
            services[name] = Service(stack.base_url, f"ry_{name}")
        yield services
        for service in services.values():
            service.close()


@pytest.mark.parametrize(
    "name", ["plain", *(pytest.param(name, marks=needs_frameworks) for name in FRAMEWORKS)]
)
def test_a_person_approves_the_refund_of_an_example(examples: Examples, name: str) -> None:
    service = examples[name]
    run = service.wait(service.create({"order": 7})["id"], "awaiting_input")
    request = run["input_requests"][0]
    answer = {"is_approved": True} if request["type"] == "approval_request" else {"feedback": "yes"}
    assert service.answer(run, **answer).json() == {"message": "ok"}
    done = service.wait(run["id"], "completed")
    assert done["output"] == {"content": "The order is closed."}
    types = [event["type"] for event in service.events(run["id"])]
    assert "agent.response.delta" in types
    assert types.count("agent.step.completed") >= 2


def test_the_readme_names_each_example() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    for name in ("plain", "node", *FRAMEWORKS):
        assert (EXAMPLES / name.replace("-", "_") / "README.md").exists()
        assert f"({name.replace('-', '_')}/README.md)" in text
