"""Test the stored records of runs: their contents and form, and the reading of other forms."""

import json
from typing import Any

import pytest

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import transact
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.runs import Run, Usage
from runyard_service.domain.threads import Thread

SHORT = {"content": "Four."}
# About 2 KB of natural text.
LONG = {
    "content": " ".join(f"Order {4811 + n} was charged twice; refund {n * 7}." for n in range(50))
}
# The API, models and tools replace lone surrogates before they reach a store.
STRANGE = {"content": "请退还一次扣款 \u0000 é 😀 " * 40, "amount": 0.1, "none": None}
VERY_LONG = {"content": "x" * 120_000}


def a_run(**fields: Any) -> Run:
    return Run(
        id=new_id(),
        project_id="records",
        org_id="o",
        app_id="app",
        agent="agent@1",
        definition_digest="0" * 64,
        started_at=timestamp(),
        **fields,
    )


@pytest.mark.parametrize(
    ("value", "form"), [(SHORT, ""), (LONG, "_z"), (STRANGE, "_z"), (VERY_LONG, "_key")]
)
def test_inputs_and_outputs_are_read_back_unchanged(
    stores: Stores, value: dict[str, Any], form: str
) -> None:
    run = a_run(input=value)
    stores.runs.create(run)
    ended = timestamp()
    end = stores.runs.end_change(run, "completed", run.usage, ended_at=ended, output=value)
    transact(stores.runs._table.client, [end])
    found = stores.runs.get(run.id)
    assert found is not None
    assert (found.input, found.output) == (value, value)
    item = stores.runs._table.get(keys.run(run.id)) or {}
    held = {name for name in item if name.startswith(("input", "output"))}
    assert held == {f"input{form}", f"output{form}"}


def test_empty_fields_of_a_run_are_not_stored(stores: Stores) -> None:
    run, used = a_run(input=SHORT), Usage(input_tokens=7, steps=1)
    stores.runs.create(run)
    assert stores.runs.get(run.id) == run
    paused = stores.runs.status_change(run, "paused", open_requests=1, usage=used)
    transact(stores.runs._table.client, [paused])
    item = stores.runs._table.get(keys.run(run.id)) or {}
    assert set(item) == {
        *("pk", "sk", "id", "project_id", "org_id", "app_id", "agent", "definition_digest"),
        *("status", "input", "started_at", "usage", "open_requests", "execution"),
        *("started_key", "status_key", "agent_key", "sweep_shard", "sweep_at"),
    }
    assert item["usage"] == {"input_tokens": 7, "steps": 1}
    found = stores.runs.get(run.id)
    assert found is not None
    assert found.usage == used


@pytest.mark.parametrize(
    ("value", "form"), [(SHORT, ""), (LONG, "_z"), (STRANGE, "_z"), (VERY_LONG, "_key")]
)
def test_an_input_request_and_its_answer_are_read_back_unchanged(
    stores: Stores, value: dict[str, Any], form: str
) -> None:
    request, requests = an_input_request(value), stores.input_requests
    transact(stores.runs._table.client, requests.create_changes([request]))
    assert requests.get(request.run_id, request.id) == request
    closing = requests.close_change(request, "answered", {"params": value})
    transact(stores.runs._table.client, [closing])
    found = requests.get(request.run_id, request.id)
    assert found is not None
    assert (found.params, found.answer) == (value, {"params": value})
    item = stores.runs._table.get(keys.input_request(request.run_id, request.id)) or {}
    held = {name for name in item if name.startswith(("params", "answer"))}
    assert held == {f"params{form}", f"answer{form}"}


@pytest.mark.parametrize(("value", "form"), [(SHORT, ""), (LONG, "_z"), (VERY_LONG, "_key")])
def test_a_message_is_read_back_unchanged(stores: Stores, value: dict[str, Any], form: str) -> None:
    now = timestamp()
    thread = Thread(id=new_id(), project_id="r", org_id="o", created_at=now, updated_at=now)
    stores.threads.create(thread)
    said = stores.messages.add(thread.id, "user", f"{value['content']} ≠ 4")
    assert list(stores.messages.read(thread.id, 0, 1)) == [said]
    item = stores.runs._table.get(keys.message(thread.id, 1)) or {}
    assert [name for name in item if name.startswith("content")] == [f"content{form}"]


def an_input_request(params: dict[str, Any]) -> InputRequest:
    return InputRequest(
        id=new_id(),
        run_id=new_id(),
        project_id="records",
        agent="payer@1",
        sequence=3,
        type="approval_request",
        tool_call_id="call",
        tool={"name": "pay", "type": "python", "effect": "unsafe"},
        prompt="Pay?",
        params=params,
        created_at=timestamp(),
    )


def test_an_uncompressed_record_is_read_like_a_compressed_record(stores: Stores) -> None:
    """The long texts are not compressed, and the record of an active run has its status."""
    run = a_run(input=SHORT)
    item = {**stores.runs.to_item(run), "input": json.dumps(LONG), "status": "started"}
    stores.runs._table.put(item)
    found = stores.runs.get(run.id)
    assert found is not None
    assert (found.input, found.status) == (LONG, "started")


def test_compression_halves_the_size_of_natural_text(stores: Stores) -> None:
    packed = stores.runs.to_item(a_run(input=LONG))["input_z"]
    assert len(packed) < len(str(LONG)) / 2
