"""Publish the input requests of a run, with the task token that resumes the run after an answer.

One transaction writes the input requests, `run.paused` and the token, so an input request is never
visible before a person can answer it. The transaction also records the waiting execution as the
current execution.
"""

from math import inf

from runyard_service.adapters.dynamodb.attributes import ConditionFailedError
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import AgentDefinition, Snapshot
from runyard_service.agents.mcp.pinned_tools import effective_definition
from runyard_service.application.input_requests.changed_tools import (
    CHANGED_TOOLS,
    tools_request,
)
from runyard_service.application.input_requests.limit_increase import limit_request
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.tool_calls.actions import input_requests_of
from runyard_service.application.steps.tool_calls.next_action import next_action, tool_label
from runyard_service.application.steps.tool_calls.requested_input import RequestInput
from runyard_service.domain.clock import parse, seconds_until, timestamp, timestamp_in
from runyard_service.domain.errors import AppendConflictError, SupersededError
from runyard_service.domain.event_payloads.input_requests import (
    ApprovalRequested,
    FeedbackRequested,
    InputRequested,
)
from runyard_service.domain.event_payloads.runs import RunPaused
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import derived_id
from runyard_service.domain.input_requests import InputRequest, seconds_left
from runyard_service.domain.runs import Execution
from runyard_service.domain.steps import CallOrigin, ToolCallState

# A transaction has at most 100 items: these, the batches of their events, the run and the pause.
MAX_REQUESTS_OF_PAUSE = 48


def request_input(
    stores: Stores, execution: Execution, task_token: str, limit: str = "", last_sequence: int = 0
) -> bool:
    """Start the wait of `execution`, which `task_token` ends. Return False if no wait is needed.

    `last_sequence` is that of the last event when the worker found that it needs a person. `limit`
    names the limit that the run reached, if any; `tools` means changed tools. If the run has
    newer events (this call is late or a duplicate), publish no new input request. Raise
    SupersededError if another writer was first.
    """
    journal = Journal.open(stores, execution.run_id)
    if journal.history.has_ended or journal.run.current_execution > execution:
        return False
    # A run that is paused already waits for what its last pause has published.
    if journal.history.last == last_sequence and journal.history.status != "paused":
        waits = _pause(journal, execution, task_token, limit)
    else:
        _record_execution(journal, execution)
        waits = _is_waiting(journal) and _wait_again(journal, task_token)
    journal.close()
    return waits


def _pause(journal: Journal, execution: Execution, task_token: str, limit: str) -> bool:
    """Pause the run for what it waits for. Return False if it can continue already."""
    history = journal.history
    until = "" if limit else _wake_time(journal)
    requests = _requests_to_publish(journal, limit)
    is_awake = history.has_new_answer or (bool(until) and seconds_until(until) <= 0)
    # A worker can act on an answer only after a person has raised the limit.
    if not limit and (is_awake or not (requests or until or history.open_requests)):
        _record_execution(journal, execution)
        return False
    return _publish(journal, execution, requests, task_token, until)


def _record_execution(journal: Journal, execution: Execution) -> None:
    """Record this execution as current. The sweep has already recorded one that it started."""
    if journal.run.current_execution == execution:
        return
    try:
        journal.stores.runs.set_current_execution(journal.run, execution.number)
    except ConditionFailedError as error:
        raise SupersededError(journal.run.id) from error


def _publish(
    journal: Journal,
    execution: Execution,
    requests: list[InputRequest],
    task_token: str,
    until: str,
) -> bool:
    """Record the pause for these input requests and those that are open already.

    It ends at `until` at the latest, if that is set.
    """
    stores, run_id = journal.stores, journal.run.id
    earlier = stores.input_requests.open_of_run(run_id) if journal.history.open_requests else []
    open_requests = [*earlier, *requests]
    paused: RunPaused = {"id": run_id, "object": "run", "status": "paused"}
    if until:
        paused["until"] = until
        if not open_requests:
            paused["reason"] = "sleeping"
    new_events = [*map(_request_event, requests), NewEvent(type="run.paused", data=paused)]
    changes = [
        stores.runs.status_change(
            journal.run,
            "paused",
            open_requests=len(open_requests),
            usage=journal.history.usage,
            wait_seconds=min(seconds_until(until) if until else inf, seconds_left(open_requests)),
            execution=execution.number,
        ),
        stores.input_requests.pause_change(
            run_id, task_token, [request.id for request in open_requests]
        ),
        *stores.input_requests.create_changes(requests),
    ]
    try:
        journal.append(new_events, changes)
    except AppendConflictError as error:
        if journal.history.has_ended:
            return False
        raise SupersededError(run_id) from error
    return True


def _wait_again(journal: Journal, task_token: str) -> bool:
    """Wait for input requests that an earlier execution or attempt of this call has published.

    An answer can come at any moment:

        submit_input    record answer ─────────▶ read token ─▶ resume
        request_input   save token ──▶ read answers

    The second of the two reads sees the write of the other, so the answer is never lost.
    """
    journal.stores.input_requests.replace_token(journal.run.id, task_token)
    journal.catch_up()
    return _is_waiting(journal)


def _is_waiting(journal: Journal) -> bool:
    """Return whether the run waits for a person, or for a time that has not come."""
    return journal.history.is_waiting and journal.history.seconds_of_sleep > 0


def _wake_time(journal: Journal) -> str:
    """Return when the first sleep of an agent's own code ends; empty if it does not sleep."""
    sleeps = [call for call in journal.history.unfinished if call.kind == "sleep"]
    return min((call.input["until"] for call in sleeps), key=parse, default="")


def _requests_to_publish(journal: Journal, limit: str) -> list[InputRequest]:
    stored = journal.stores.definitions.get(journal.run.definition_digest)
    snapshot = Snapshot.from_stored(stored)
    definition = effective_definition(snapshot, journal.history.tool_lists)
    if limit == CHANGED_TOOLS:
        return [tools_request(journal, snapshot)]
    if limit:
        return [limit_request(journal, definition.limits, limit)]
    return _requests_for_calls(journal, definition)


def _requests_for_calls(journal: Journal, definition: AgentDefinition) -> list[InputRequest]:
    asks: list[tuple[ToolCallState, RequestInput]] = []
    most = MAX_REQUESTS_OF_PAUSE - len(journal.history.open_requests)
    for call in journal.history.unfinished:
        action = next_action(definition, call, CallOrigin.UNKNOWN)
        found = input_requests_of(action)
        if len(asks) + len(found) > most:
            break  # The next pause publishes the others.
        asks += ((call, ask) for ask in found)
    return [
        _request_for_call(journal, definition, call, ask, sequence)
        for sequence, (call, ask) in enumerate(asks, start=journal.history.last + 1)
    ]


def _request_for_call(
    journal: Journal,
    definition: AgentDefinition,
    call: ToolCallState,
    ask: RequestInput,
    sequence: int,
) -> InputRequest:
    expires_in, on_expiry = definition.limits.time_to_answer(ask.expires_in, ask.on_expiry)
    label = tool_label(definition, call.name, call.kind)
    return InputRequest(
        # Derived: the same request after a crash has the same id.
        id=ask.id or derived_id(call.id, str(call.request_count)),
        run_id=journal.run.id,
        project_id=journal.run.project_id,
        agent=journal.run.agent,
        user_id=journal.run.user_id,
        sequence=sequence,
        type=ask.type,
        tool_call_id=call.id,
        tool={"name": label["name"], "type": label["type"], "effect": ask.effect},
        prompt=ask.prompt,
        params=ask.params,
        params_schema=ask.params_schema,
        editable_params=ask.editable_params,
        created_at=timestamp(),
        expires_at=None if expires_in is None else timestamp_in(expires_in),
        on_expiry=on_expiry,
    )


def _request_event(request: InputRequest) -> NewEvent:
    common: InputRequested = {
        "id": request.id,
        "prompt": request.prompt,
        "params": request.params,
    }
    if request.tool_call_id is not None:
        common["tool_call_id"] = request.tool_call_id
    if request.expires_at is not None:
        common["expires_at"] = request.expires_at
        common["on_expiry"] = request.on_expiry
    if request.type == "human_feedback":
        feedback: FeedbackRequested = {**common, "object": "agent.human_feedback"}
        return NewEvent(type="agent.human_feedback.requested", data=feedback)
    approval: ApprovalRequested = {
        **common,
        "object": "approval_request",
        "editable_params": list(request.editable_params),
        "tool": request.tool,
    }
    return NewEvent(type="approval_request.created", data=approval)
