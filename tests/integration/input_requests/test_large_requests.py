"""A pause with the largest number of input requests fits DynamoDB's 4 MB of a transaction."""

import secrets

from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.tool_calls.call_tools import MAX_CALLS
from runyard_service.domain.clock import timestamp
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.runs import Run
from tests.support.run_factory import create_run


def make_request(run: Run, prompt: str, number: int = 1) -> InputRequest:
    """Return a request with params that are inline if it is alone; zlib cannot halve them."""
    return InputRequest(
        id=new_id(),
        run_id=run.id,
        project_id=run.project_id,
        agent=run.agent,
        sequence=number,
        type="approval_request",
        tool_call_id=new_id(),
        tool={"name": "pay", "type": "python", "effect": "unsafe"},
        prompt=prompt,
        params={"reason": secrets.token_urlsafe(70_000)},
        created_at=timestamp(),
    )


def test_as_many_requests_as_possible_with_long_prompts_and_params(stores: Stores) -> None:
    run = create_run(stores)
    requests = [
        make_request(run, secrets.token_urlsafe(70_000), number)
        for number in range(1, MAX_CALLS + 1)
    ]
    drafts = [
        NewEvent(type="approval_request.created", data={"id": request.id, "params": request.params})
        for request in requests
    ]
    changes = [
        stores.input_requests.pause_change(run.id, "token", [request.id for request in requests]),
        *stores.input_requests.create_changes(requests),
    ]
    journal = Journal.open(stores, run.id)
    journal.append(drafts, changes)
    assert stores.input_requests.open_of_run(run.id) == requests
    events = [event for batch in stores.log.read(run.id) for event in batch.events()]
    assert [event.data["params"] for event in events] == [request.params for request in requests]


def test_a_single_request_is_stored_without_s3(stores: Stores) -> None:
    (entry,) = stores.input_requests.create_changes([make_request(create_run(stores), "Pay?")])
    assert {"prompt", "params_z"} <= entry["Put"]["Item"].keys()
