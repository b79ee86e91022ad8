"""Check the events `run.retrying` of a log."""

from collections import Counter
from collections.abc import Iterable

from runyard_service.domain.events import Event

_ENDS = ("agent.tool_call.completed", "agent.tool_call.failed")


def find_retry_violations(events: Iterable[Event]) -> list[str]:
    """Return what is wrong with the retries of a run, one line for each error.

    The attempts of each call are 1, 2, 3, … A tool call is retried only between its start and its
    result. A model call, which has no id, ends with its message, a compaction or another route.
    """
    attempts: Counter[str] = Counter()
    in_flight: set[str] = {""}
    violations = []
    for event in events:
        data = event.data
        if event.type == "agent.tool_call.started":
            in_flight.add(data["id"])
        elif event.type in _ENDS:
            in_flight.discard(data["id"])
        elif _ends_model_call(event):
            attempts[""] = 0
        elif event.type == "run.retrying":
            call = data.get("tool_call_id", "")
            attempts[call] += 1
            if data["attempt"] != attempts[call]:
                expected = f"expected {attempts[call]}"
                violations.append(f"event {event.sequence}: attempt {data['attempt']}, {expected}")
            if call not in in_flight:
                violations.append(f"event {event.sequence}: the call {call} is not in flight")
    return violations


def _ends_model_call(event: Event) -> bool:
    if event.type == "run.recovered":
        return "route" in event.data
    return event.type in ("agent.message.completed", "agent.context.compacted")
