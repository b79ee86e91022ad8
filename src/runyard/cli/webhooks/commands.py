"""`runyard webhooks`: the webhooks of a project, over HTTP."""

from collections.abc import Mapping
from typing import Any

import click

from runyard.cli.admin.webhook_dead_letters import dead_letters, redrive
from runyard.cli.confirm import require_consent, yes_option
from runyard.cli.errors import note
from runyard.cli.session import Session, api_command, api_path

COLUMNS = ("ID", "URL", "EVENTS", "STATE")
DELIVERY_COLUMNS = ("ID", "EVENT", "STATE", "CREATED", "ATTEMPTS", "LAST RESULT")


@click.group()
def webhooks() -> None:
    """Register webhooks, see their deliveries, and send them again."""


for _command in (dead_letters, redrive):
    webhooks.add_command(_command)

_webhook = click.argument("webhook_id", metavar="WEBHOOK")


@webhooks.command("list")
@api_command
def list_(session: Session) -> None:
    """List the webhooks of the project."""
    answer = session.get("/v1/webhooks", page_size=100)
    found = answer.json["data"]
    session.show(
        answer, [each["id"] for each in found], lambda: session.table(COLUMNS, map(_row, found))
    )


def _row(webhook: Mapping[str, Any]) -> tuple[str, ...]:
    state = "enabled" if webhook["enabled"] else "disabled"
    if reason := webhook.get("disabled_reason"):
        state = f"disabled: {reason}"
    elif until := webhook.get("paused_until"):
        state = f"paused until {until}"
    elif since := webhook.get("failing_since"):
        state = f"failing since {since}"
    return webhook["id"], webhook["url"], ",".join(webhook["events"]), state


@webhooks.command()
@click.argument("endpoint", metavar="URL")
@click.option(
    "--event", "events", multiple=True, metavar="TYPE", help="Can be repeated. Default: all"
)
@click.option("--description", metavar="TEXT")
@api_command
def add(
    session: Session, *, endpoint: str, events: tuple[str, ...], description: str | None
) -> None:
    """Register a webhook. Its secret is printed only once."""
    body = {"url": endpoint, "events": list(events) or None, "description": description}
    answer = session.send("POST", "/v1/webhooks", body=body)
    _show_secret(session, answer)


@webhooks.command()
@_webhook
@click.option("--overlap-hours", type=click.IntRange(0, 168), help="Default: 24")
@api_command
def rotate(session: Session, *, webhook_id: str, overlap_hours: int | None) -> None:
    """Create a new secret and print it once. Both secrets sign for --overlap-hours."""
    body = {"overlap_hours": overlap_hours}
    answer = session.send("POST", api_path("webhooks", webhook_id, "rotate-secret"), body=body)
    _show_secret(session, answer)


def _show_secret(session: Session, answer: Any) -> None:
    webhook = answer.json["data"]
    session.show(
        answer,
        [webhook["id"]],
        lambda: session.fields({name: webhook.get(name) for name in ("id", "url", "secret")}),
    )


@webhooks.command()
@_webhook
@api_command
def enable(session: Session, *, webhook_id: str) -> None:
    """Enable a webhook again, after its endpoint was repaired."""
    answer = session.send("PATCH", api_path("webhooks", webhook_id), body={"enabled": True})
    session.show(answer, [webhook_id], lambda: note(f"{webhook_id} is enabled"))


@webhooks.command()
@_webhook
@api_command
def test(session: Session, *, webhook_id: str) -> None:
    """Send a test notification. `runyard webhooks log` shows its result."""
    answer = session.send("POST", api_path("webhooks", webhook_id, "test"))
    delivery = answer.json["data"]
    session.show(
        answer, [delivery["id"]], lambda: session.table(DELIVERY_COLUMNS, [_log(delivery)])
    )


@webhooks.command()
@_webhook
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, metavar="N")
@click.option("--before", metavar="CURSOR", help="The next_cursor of the previous page.")
@api_command
def log(session: Session, *, webhook_id: str, limit: int, before: str | None) -> None:
    """List the deliveries of a webhook, newest first."""
    answer = session.get(
        api_path("webhooks", webhook_id, "deliveries"), page_size=limit, before=before
    )
    found = answer.json["data"]
    session.show(
        answer,
        [each["id"] for each in found],
        lambda: session.table(DELIVERY_COLUMNS, map(_log, found)),
    )


def _log(delivery: Mapping[str, Any]) -> tuple[str, ...]:
    attempts = delivery["attempts"]
    last = attempts[-1] if attempts else {}
    result = str(last.get("status_code") or last.get("error") or "")
    return (
        *(delivery["id"], delivery["event_type"], delivery["state"], delivery["created_at"]),
        str(len(attempts)),
        result,
    )


@webhooks.command()
@_webhook
@click.argument("delivery_id", metavar="DELIVERY")
@api_command
def redeliver(session: Session, *, webhook_id: str, delivery_id: str) -> None:
    """Send a delivery again, with the same body and webhook-id."""
    path = api_path("webhooks", webhook_id, "deliveries", delivery_id, "redeliver")
    answer = session.send("POST", path)
    session.show(answer, [delivery_id], lambda: note(f"{delivery_id} is sent again"))


@webhooks.command()
@_webhook
@yes_option
@api_command
def remove(session: Session, *, webhook_id: str, is_agreed: bool) -> None:
    """Remove a webhook and its deliveries."""
    require_consent(f"Remove the webhook {webhook_id}?", is_agreed=is_agreed)
    answer = session.send("DELETE", api_path("webhooks", webhook_id))
    if session.mode != "json":  # The API returns no body.
        session.show(answer, [webhook_id], lambda: note(f"{webhook_id} is removed"))
