"""What this invocation, or this request, is at work on: keys that its log lines and traces carry.

One mapping for each, shared with the tasks and threads that it starts, so a run that turns up deep
inside is known to whoever ends the invocation.
"""

from collections.abc import Mapping
from contextvars import ContextVar

_keys: ContextVar[dict[str, object] | None] = ContextVar("working_on", default=None)


def reset(**keys: object) -> None:
    """Begin an invocation: what was known of the one before is forgotten."""
    _keys.set(dict(keys))


def bind(**keys: object) -> None:
    """More is known now: `run_id`, `request_id`, `step`, `sequence`."""
    known = _keys.get()
    if known is None:
        reset(**keys)
    else:
        known.update(keys)


def current() -> Mapping[str, object]:
    """What is known."""
    return _keys.get() or {}
