"""The approval request to use tools of MCP servers that differ from the lock file.

It belongs to no tool call. The run publishes it once, after it has listed its tools.
"""

from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.mcp.pinned_tools import changed_tools, describe_changes
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.clock import timestamp, timestamp_in
from runyard_service.domain.errors import ToolsChangedError
from runyard_service.domain.history.history import History
from runyard_service.domain.ids import derived_id
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.steps import TOOLS_TYPE
from runyard_service.domain.visible_text import escape_invisible

# What an execution waits for, in place of the name of a limit.
CHANGED_TOOLS = "tools"


def needs_approval(snapshot: Snapshot, history: History) -> bool:
    """Return whether a person must allow changed tools before the run uses them.

    The log decides, so also a worker that did not list the tools. Raise ToolsChangedError if a
    person did not allow them, or if the server's `on_change` is `fail`.
    """
    if changes := changed_tools(snapshot, history.tool_lists, "fail"):
        raise ToolsChangedError(
            f"the tools of MCP servers differ from mcp.lock.yaml: {describe_changes(changes)};"
            " check them and run `runyard agents mcp-lock`"
        )
    changes = changed_tools(snapshot, history.tool_lists, "ask")
    if not changes:
        return False
    request = history.tools_request
    if request is None or request.answer is None:
        return True
    if not request.answer.data.get("is_approved"):
        reason = request.answer.data.get("feedback")
        message = f"a person did not allow the changed tools of {describe_changes(changes)}"
        raise ToolsChangedError(f"{message}: {reason}" if reason else message)
    return False


def tools_request(journal: Journal, snapshot: Snapshot) -> InputRequest:
    """Return the request to use the changed tools of the run."""
    changes = changed_tools(snapshot, journal.history.tool_lists, "ask")
    expires_in, on_expiry = snapshot.definition.limits.time_to_answer(None, "keep_waiting")
    return InputRequest(
        # Derived: the same request after a crash has the same id.
        id=derived_id(journal.run.id, CHANGED_TOOLS),
        run_id=journal.run.id,
        project_id=journal.run.project_id,
        agent=journal.run.agent,
        user_id=journal.run.user_id,
        sequence=journal.history.last + 1,
        type="approval_request",
        tool={"name": "use_changed_tools", "type": TOOLS_TYPE, "effect": "none"},
        prompt=escape_invisible(
            f"Tools of MCP servers have changed since they were locked: {describe_changes(changes)}"
            ". Use them?"
        ),
        params={"servers": changes},
        created_at=timestamp(),
        expires_at=None if expires_in is None else timestamp_in(expires_in),
        on_expiry=on_expiry,
    )
