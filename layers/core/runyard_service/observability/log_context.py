"""The log context of an invocation or a request: keys of its log lines and traces.

Each invocation has its own mapping, which its tasks and threads share. So a run id that is bound
deep inside a call is present when the invocation ends.
"""

from collections.abc import Mapping
from contextvars import ContextVar

_keys: ContextVar[dict[str, object] | None] = ContextVar("working_on", default=None)


def reset(**keys: object) -> None:
    """Start the context of an invocation, and discard the keys of the previous invocation."""
    _keys.set(dict(keys))


def bind(**keys: object) -> None:
    """Add keys to the context: `run_id`, `request_id`, `step`, `sequence`."""
    bound = _keys.get()
    if bound is None:
        reset(**keys)
    else:
        bound.update(keys)


def current() -> Mapping[str, object]:
    """Return the keys of the current context."""
    return _keys.get() or {}
