"""Response bodies of the Threads API. Missing values are null."""

from decimal import Decimal
from typing import Any

from runyard_service.domain.clock import parse
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Message, Thread

RUNNING = ("created", "started", "paused")
# Statuses of this API, and the corresponding statuses of the Runs API.
STATUSES = {
    "running": frozenset({*RUNNING, "awaiting_input"}),
    "waiting_for_input": frozenset({"awaiting_input"}),
    "completed": frozenset({"completed"}),
    "failed": frozenset({"failed"}),
    "cancelled": frozenset({"canceled"}),
}


def status_of(run: Run) -> str:
    """Return the status of the run in the Threads API."""
    if run.awaits_input:
        return "waiting_for_input"
    if run.status in RUNNING:
        return "running"
    return "cancelled" if run.status == "canceled" else run.status


def thread_view(thread: Thread) -> dict[str, Any]:
    """Return the body of a thread."""
    return {
        "id": thread.id,
        "org_id": thread.org_id,
        "title": thread.title,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "active_run_id": thread.active_run_id,
    }


def message_view(message: Message) -> dict[str, Any]:
    """Return the body of a message. An assistant message has `run_id`."""
    view: dict[str, Any] = {
        "id": message.id,
        "thread_id": message.thread_id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at,
    }
    return view if message.run_id is None else {**view, "run_id": message.run_id}


def brief_view(run: Run) -> dict[str, Any]:
    """Return the run as an item of the list of its thread."""
    return {"run_id": run.id, "status": status_of(run), "created_at": run.started_at}


def run_view(run: Run) -> dict[str, Any]:
    """Return the body of a run."""
    return {
        "run_id": run.id,
        "org_id": run.org_id,
        "thread_id": run.thread_id,
        "created_by_user_id": _user_id(run),
        "status": status_of(run),
        "model": run.model_in_use or None,
        "persona_id": run.agent,
        "created_at": run.started_at,
        "trace_id": run.trace_id,
    }


def listed_view(run: Run, credits_per_usd: Decimal) -> dict[str, Any]:
    """Return an item of the global list. The provider counts the tokens; costs are in USD."""
    usage, author = run.usage, run.created_by
    is_known = run.has_ended or usage.steps > 0
    return {
        "run_id": run.id,
        "org_id": run.org_id,
        "thread_id": run.thread_id,
        "status": status_of(run),
        "model": run.model_in_use or None,
        "persona_id": run.agent,
        "total_input_tokens": usage.input_tokens if is_known else None,
        "total_output_tokens": usage.output_tokens if is_known else None,
        "total_cost_usd": None if usage.cost_usd is None else float(usage.cost_usd),
        "duration_ms": _duration_ms(run),
        "cache_hit_rate": usage.cache_hit_rate,
        "credits_used": usage.credits(credits_per_usd),
        "created_at": run.started_at,
        "completed_at": run.ended_at if run.status == "completed" else None,
        "failed_at": run.ended_at if run.status == "failed" else None,
        "created_by_user_id": _user_id(run),
        "created_by_user_name": author.name if author else None,
        "created_by_email": author.email if author else None,
    }


def _user_id(run: Run) -> str | None:
    """Return the `user_id` of the run, or else the user of the access key."""
    if run.user_id is not None:
        return run.user_id
    return run.created_by.id if run.created_by else None


def _duration_ms(run: Run) -> int | None:
    if run.ended_at is None:
        return None
    return round((parse(run.ended_at) - parse(run.started_at)).total_seconds() * 1000)
