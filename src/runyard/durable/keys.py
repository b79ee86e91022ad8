"""The keys of operations: `{scope/}{op}:{name}#{nth}`.

A key must be the same each time the code runs. So it counts the operations of one name in one
scope, and each asyncio task has its own scope: branches that run at the same time do not change
the keys of each other. A scope is numbered by the order in which its task makes its first
operation. `Context.scope` names a scope, and the name does not depend on the order.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar["Scope"] = ContextVar("runyard_scope")


class Scope:
    """The part of a run in which operations are counted. `path` is empty or ends with a slash."""

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.owner: asyncio.Task[object] | None = None
        self._counts: Counter[str] = Counter()
        self._tasks = 0
        self._named: dict[str, Scope] = {}

    def next_key(self, op: str, name: str) -> str:
        """Return the key of the next operation `op` with this name."""
        self._counts[f"{op}:{name}"] += 1
        return f"{self.path}{op}:{name}#{self._counts[f'{op}:{name}']}"

    def named(self, name: str) -> "Scope":
        """Return the inner scope of this name."""
        if name not in self._named:
            self._named[name] = Scope(f"{self.path}{name}/")
        return self._named[name]

    def next_task_scope(self) -> "Scope":
        """Return the inner scope of a task that makes its first operation."""
        self._tasks += 1
        return Scope(f"{self.path}{self._tasks}/")


def enter_root(scope: Scope) -> None:
    """Make `scope` the scope of the current task, and of the tasks that it creates."""
    scope.owner = _task()
    _current.set(scope)


def current_scope() -> Scope:
    """Return the scope of the current task. Raise RuntimeError outside of an agent."""
    scope = _current.get(None)
    if scope is None:
        raise RuntimeError("an operation of ctx was called outside of the agent's own code")
    task = _task()
    if task is not None and scope.owner is not task:
        scope = scope.next_task_scope()
        scope.owner = task
        _current.set(scope)
    return scope


def adopt_scope() -> None:
    """Let the current task, which makes one operation for a thread, use the thread's scope."""
    current = _current.get(None)
    if current is not None:
        current.owner = _task()


def _task() -> "asyncio.Task[object] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # In a thread without an event loop.
        return None


@contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Enter the inner scope of this name. Raise ValueError for a name with a slash or a number."""
    if not name or "/" in name or name.isdigit():
        raise ValueError(f"the name of a scope needs a letter and no slash: {name!r}")
    # The parent of a new task is its creator's scope: the number of the task depends on the order.
    parent = _current.get(None)
    scope = (current_scope() if parent is None else parent).named(name)
    scope.owner = _task()
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)
