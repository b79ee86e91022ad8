"""Restored tables and a restored bucket can replace the stack's own, by parameters."""

from collections.abc import Iterator
from typing import Any

import pytest

from runyard_dev.template.cloudformation import Resolver, load_document
from tests.template.repository import ROOT

STACK = "stack"
DATA = ("EventsTable", "RecordsTable", "Bucket")
RESTORED = {
    "ExistingEventsTableName": "restored-events",
    "ExistingEventsStreamLabel": "2026-11-28T08:00:00.000",
    "ExistingRecordsTableName": "restored-records",
    "ExistingBucketName": "restored-bucket",
}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from texts(item)
    elif isinstance(node, dict):
        for item in node.values():
            yield from texts(item)
    elif isinstance(node, str):
        yield node


def resolved(**parameters: str) -> tuple[dict[str, Any], set[str]]:
    """Return the resources and outputs for these parameters, and the names of the stack's data."""
    document = load_document(ROOT / "template.yaml")
    resolver = Resolver(document, stack_name=STACK, parameters=parameters)
    active = {
        name: resolver.resolve(resource["Properties"])
        for name, resource in document["Resources"].items()
        if resolver.is_active(resource)
    }
    outputs = {name: resolver.resolve(value) for name, value in document["Outputs"].items()}
    return {**active, "outputs": outputs}, {resolver.name_of(name) for name in DATA}


def test_a_stack_creates_its_own_data_by_default() -> None:
    resources, own = resolved()
    assert set(DATA) <= resources.keys()
    assert not any("restored" in text for text in texts(resources))
    assert all(any(name in text for text in texts(resources)) for name in own)


def test_restored_data_replaces_every_reference_to_the_stacks_own() -> None:
    resources, own = resolved(**RESTORED)
    assert not set(DATA) & resources.keys()
    assert [text for text in texts(resources) if any(name in text for name in own)] == []
    variables = resources["ApiFunction"]["Environment"]["Variables"]
    assert (variables["EVENTS_TABLE"], variables["RECORDS_TABLE"], variables["BUCKET"]) == (
        "restored-events",
        "restored-records",
        "restored-bucket",
    )
    source = resources["PublishEventsMapping"]["EventSourceArn"]
    assert source.endswith(":table/restored-events/stream/2026-11-28T08:00:00.000")
    assert resources["outputs"]["EventsTableName"]["Value"] == "restored-events"


@pytest.mark.parametrize("name", ["ExistingRecordsTableName", "ExistingBucketName"])
def test_each_can_be_replaced_alone(name: str) -> None:
    resources, _ = resolved(**{name: RESTORED[name]})
    assert len(set(DATA) & resources.keys()) == 2
    assert any(RESTORED[name] in text for text in texts(resources["RunStepFunction"]))


def test_a_table_without_its_stream_is_rejected_before_the_first_resource() -> None:
    rule = load_document(ROOT / "template.yaml")["Rules"]["ExistingEventsTableHasItsStream"]
    [assertion] = rule["Assertions"]
    names = {text for text in texts(assertion["Assert"]) if text}
    assert names == {"ExistingEventsTableName", "ExistingEventsStreamLabel"}
