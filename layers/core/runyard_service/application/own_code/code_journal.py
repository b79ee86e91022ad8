"""The journal of an agent in the user's own code: the results of its operations, from the log.

An operation is named by `op: {key, digest, kind}` in its events. The SDK and other clients of the
protocol receive the entries in the order of the log.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NotRequired, TypedDict, cast

from runyard_service.agents.definitions.models import OUTPUT_TOOL
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.event_payloads.operations import OperationRef
from runyard_service.domain.events import Event, to_json


class JournalEntry(TypedDict):
    """The result of one operation; without `value` and `error` it is an emitted event."""

    key: str
    digest: str
    value: NotRequired[Any]
    error: NotRequired[Mapping[str, Any]]


class CodeJournal:
    """The entries after the events that were applied.

    `keys` are those of the entries, and `size` is their length as JSON in bytes.
    """

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.keys: set[str] = set()
        self.size = 0
        self._applied = 0
        # By the id of the tool call that asks a person.
        self._answers: dict[str, Any] = {}
        self._calls_of_requests: dict[str, str] = {}

    def catch_up(self, durable_events: list[Event]) -> None:
        """Apply the events after those of the last call. The list only grows."""
        for event in durable_events[self._applied :]:
            handler = _HANDLERS.get(event.type)
            if handler is not None:
                handler(self, event.data)
        self._applied = len(durable_events)

    def _add(self, op: OperationRef, **outcome: Any) -> None:
        if op["key"] not in self.keys:
            self.keys.add(op["key"])
            entry = {"key": op["key"], "digest": op["digest"], **outcome}
            self.entries.append(cast(JournalEntry, entry))
            self.size += len(to_json(entry))

    def _on_step_completed(self, data: Mapping[str, Any]) -> None:
        self._add(_ref_of_step(data), value=data.get("result"))

    def _on_step_failed(self, data: Mapping[str, Any]) -> None:
        self._add(_ref_of_step(data), error=data["error"])

    def _on_emitted(self, data: Mapping[str, Any]) -> None:
        self._add(_ref_of_step(data))

    def _on_message(self, data: Mapping[str, Any]) -> None:
        op = data.get("op")
        if op is None:
            return
        message = cast(MessageCompleted, data)
        if "error" in op:
            self._add(op, error=op["error"])
            return
        value: dict[str, Any] = {"message": _message(message), "usage": message["usage"]}
        if "output" in op:
            value["output"] = op["output"]
        if message.get("truncated"):
            value["is_truncated"] = True
        self._add(op, value=value)

    def _on_requested(self, data: Mapping[str, Any]) -> None:
        if call_id := data.get("tool_call_id"):
            self._calls_of_requests[data["id"]] = call_id

    def _on_received(self, data: Mapping[str, Any]) -> None:
        if call_id := self._calls_of_requests.get(data["id"]):
            self._answers[call_id] = data["feedback"]

    def _on_resolved(self, data: Mapping[str, Any]) -> None:
        if call_id := self._calls_of_requests.get(data["id"]):
            self._answers[call_id] = {
                "is_approved": data["is_approved"],
                "params": data["effective_params"],
                "feedback": data.get("feedback"),
            }

    def _on_call_completed(self, data: Mapping[str, Any]) -> None:
        op = data.get("op")
        if op is None:
            return
        match op["kind"]:
            case "ask":
                value = self._answers.get(data["id"], data["input"].get("default"))
            case "approve":
                denied = {"is_approved": False, "params": data["input"].get("params", {})}
                value = self._answers.get(data["id"], denied)
            case "sleep":
                value = None
            case _:
                value = data["result"]
        self._add(op, value=value)

    def _on_call_failed(self, data: Mapping[str, Any]) -> None:
        if op := data.get("op"):
            self._add(op, error=data["error"])


def _ref_of_step(data: Mapping[str, Any]) -> OperationRef:
    return OperationRef(key=data["key"], digest=data["digest"], kind="step")


def _message(message: MessageCompleted) -> dict[str, Any]:
    """Return the response as a message that a later call of the model can contain."""
    # The structured output is in `output`.
    calls = [call for call in message.get("tool_calls", ()) if call["name"] != OUTPUT_TOOL]
    found = {"role": "assistant", "content": message["content"]}
    return {**found, "tool_calls": list(calls)} if calls else found


_HANDLERS: Mapping[str, Callable[[CodeJournal, Mapping[str, Any]], None]] = {
    "agent.step.completed": CodeJournal._on_step_completed,
    "agent.step.failed": CodeJournal._on_step_failed,
    "agent.emitted": CodeJournal._on_emitted,
    "agent.message.completed": CodeJournal._on_message,
    "agent.human_feedback.requested": CodeJournal._on_requested,
    "approval_request.created": CodeJournal._on_requested,
    "agent.human_feedback.received": CodeJournal._on_received,
    "approval_request.resolved": CodeJournal._on_resolved,
    "agent.tool_call.completed": CodeJournal._on_call_completed,
    "agent.tool_call.failed": CodeJournal._on_call_failed,
}


def journal_of(events: Iterable[Event]) -> CodeJournal:
    """Return the journal after these events, which start with the first event of the log."""
    journal = CodeJournal()
    journal.catch_up(list(events))
    return journal
