"""Notifications about runs for webhooks and the event bus: ids and small facts.

They never have content: no input, output, prompt, argument, answer or error message. A receiver
reads the content with an access key, limited to what that key can access.
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from runyard_service.domain.clock import timestamp
from runyard_service.domain.events import Event
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run

PING_TYPE = "webhook.ping"

_REQUEST_TYPES = {"agent.human_feedback": "human_feedback", "approval_request": "approval_request"}


class Notification(BaseModel):
    """One notification. `data` always has an `event_id`, which is the same for all receivers."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    type: str
    timestamp: str
    data: dict[str, Any]

    @property
    def event_id(self) -> str:
        """Return the id of the event."""
        return str(self.data["event_id"])

    @property
    def run_id(self) -> str | None:
        """Return the id of the run; None for a ping."""
        return self.data.get("run_id")

    def text(self) -> str:
        """Return `type`, `timestamp` and `data` as JSON: the body of a webhook."""
        return json.dumps(self.model_dump(), separators=(",", ":"))

    def detail(self) -> str:
        """Return `data` as JSON: the detail of an event on the bus."""
        return json.dumps(self.data, separators=(",", ":"))


def notification_for(event: Event, run: Run) -> Notification:
    """Return the notification for an event of the run, without fields that have no value."""
    facts = {
        "event_id": event.id,
        "sequence": event.sequence,
        "org_id": run.org_id,
        "project_id": run.project_id,
        "run_id": run.id,
        "agent": run.agent,
        "thread_id": run.thread_id,
        "session_id": run.session_id,
        "user_id": run.user_id,
        **(_run_fields(event) if event.type.startswith("run.") else _request_fields(event)),
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return Notification(type=event.type, timestamp=event.timestamp, data=known)


def _run_fields(event: Event) -> dict[str, Any]:
    error = event.data.get("error") or {}
    return {
        "status": event.data.get("status"),
        "error_code": error.get("code"),
        "usage": event.data.get("usage"),
    }


def _request_fields(event: Event) -> dict[str, Any]:
    family = event.type.rpartition(".")[0]
    return {
        "request_id": event.data.get("id"),
        "request_type": _REQUEST_TYPES.get(family),
        "is_approved": event.data.get("is_approved"),
        "answered_by": event.data.get("answered_by"),
        "expires_at": event.data.get("expires_at"),
    }


def ping(org_id: str, project_id: str, webhook_id: str) -> Notification:
    """Return the notification that tests an endpoint."""
    data = {
        "event_id": new_id(),
        "org_id": org_id,
        "project_id": project_id,
        "webhook_id": webhook_id,
    }
    return Notification(type=PING_TYPE, timestamp=timestamp(), data=data)
