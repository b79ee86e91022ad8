"""Response bodies of the Runs API. Fields without a value are omitted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.domain.costs import to_number
from runyard_service.domain.event_payloads.runs import RunUsage
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.runs import Run, usage_payload
from runyard_service.domain.threads import Message
from runyard_service.domain.usage_totals import UsageTotals
from runyard_service.domain.webhooks import Delivery, Webhook


def run_view(
    run: Run, requests: Sequence[InputRequest] = (), message: Message | None = None
) -> dict[str, Any]:
    """Return the run as in API responses, with the fields of `related_view`."""
    view: dict[str, Any] = {
        "id": run.id,
        "app_id": run.app_id,
        "agent": run.agent,
        "model": run.model_in_use or None,
        "status": "awaiting_input" if run.awaits_input else run.status,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "input": run.input if run.thread_id is None else _thread_input(run),
        "output": run.output,
        "user_id": run.user_id,
        "session_id": run.session_id,
        "thread_id": run.thread_id,
        "created_by": run.created_by and run.created_by.model_dump(exclude_none=True),
        "error": run.error,
        "usage": _usage(run),
    }
    own = without_nulls(view)
    return own | related_view(run, requests, message)


def related_view(
    run: Run, requests: Sequence[InputRequest], message: Message | None
) -> dict[str, Any]:
    """Return the fields of the run's view that other records have: requests and message.

    `message` is the newest thread message that the run read: the one that it answers.
    """
    view: dict[str, Any] = {}
    if requests:
        view["input_requests"] = [request_view(request) for request in requests]
    if message is not None:
        view["input"] = {**_thread_input(run), "content": message.content}
    return view


def _thread_input(run: Run) -> dict[str, Any]:
    return {"thread_id": run.thread_id, "message_count": run.thread_messages}


def _usage(run: Run) -> RunUsage | None:
    """Return the total usage of an ended run, or the current usage of a waiting run."""
    if run.ended_at is None and not run.awaits_input:
        return None
    return usage_payload(run.usage, run.started_at, run.ended_at)


def request_view(request: InputRequest) -> dict[str, Any]:
    """Return the input request. `expires_at` and `on_expiry` are present if it expires."""
    view: dict[str, Any] = {
        "id": request.id,
        "type": request.type,
        "created_at": request.created_at,
        "agent": request.agent,
        "tool": request.tool,
        "prompt": request.prompt,
        "params": request.params,
        "editable_params": list(request.editable_params),
    }
    for name in ("params_schema", "user_id"):
        if (value := getattr(request, name)) is not None:
            view[name] = value
    if request.expires_at is not None:
        view |= {"expires_at": request.expires_at, "on_expiry": request.on_expiry}
    return view


def usage_view(totals: UsageTotals) -> dict[str, Any]:
    """Return the totals of a row of usage. An unknown cost is null, never 0."""
    cost = totals.cost_usd
    return {**asdict(totals), "cost_usd": None if cost is None else to_number(cost)}


def key_view(key: AccessKey) -> dict[str, Any]:
    """Return the access key without its secret. A key without `project_id` is for all projects."""
    view: dict[str, Any] = {
        "id": key.id,
        "org_id": key.org_id,
        "project_id": key.project_id or None,
        "scopes": sorted(key.scopes),
        "agent": key.agent,
        "user_id": key.user_id,
        "user_name": key.user_name,
        "user_email": key.user_email,
        "created_at": key.created_at,
        "valid_until": key.valid_until,
        "last_used_at": key.last_used_at or None,
        "revoked_at": key.revoked_at,
    }
    return without_nulls(view)


def webhook_view(webhook: Webhook) -> dict[str, Any]:
    """Return the webhook without its secrets."""
    view: dict[str, Any] = {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "description": webhook.description,
        "enabled": webhook.enabled,
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }
    for name in ("disabled_reason", "failing_since", "paused_until"):
        if (value := getattr(webhook, name)) is not None:
            view[name] = value
    return view


def delivery_view(delivery: Delivery, *, whole: bool = False) -> dict[str, Any]:
    """Return the delivery. If `whole`, it includes the sent body as `payload`."""
    view: dict[str, Any] = {
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "run_id": delivery.run_id,
        "state": delivery.state,
        "failure": delivery.failure,
        "created_at": delivery.created_at,
        "next_attempt_at": delivery.next_attempt_at,
        "attempts": [attempt.model_dump(exclude_none=True) for attempt in delivery.attempts],
    }
    if whole:
        view["payload"] = json.loads(delivery.body)
    return without_nulls(view)


def without_nulls(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in view.items() if value is not None}
