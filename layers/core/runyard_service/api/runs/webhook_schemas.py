"""The shapes of webhooks: what comes in, and what goes out, which never is a secret."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from runyard_service.api.bodies import Body, WholeNumber
from runyard_service.application.webhooks.webhook_urls import MAX_URL_LENGTH
from runyard_service.domain.webhooks import EVERYTHING, Delivery, Webhook, is_pattern

MAX_EVENTS = 20
MAX_OVERLAP_HOURS = 168


def _known_patterns(events: tuple[str, ...]) -> tuple[str, ...]:
    if not events:
        raise ValueError("cannot be empty")
    for pattern in events:
        if not is_pattern(pattern):
            raise ValueError("must name events, like run.completed, run.* or *")
    return tuple(dict.fromkeys(events))


def _begins_well(url: str) -> str:
    # Exactly so: a scheme in capitals would be the same, and read otherwise by somebody else.
    if not url.startswith(("https://", "http://")):
        raise ValueError("must begin with https://")
    return url


Url = Annotated[str, Field(max_length=MAX_URL_LENGTH), AfterValidator(_begins_well)]
Events = Annotated[
    tuple[str, ...],
    Field(max_length=MAX_EVENTS, strict=False),
    AfterValidator(_known_patterns),
]
Description = Annotated[str, Field(max_length=256)]


class CreateWebhook(Body):
    """`POST /v1/webhooks`."""

    url: Url
    events: Events = (EVERYTHING,)
    description: Description = ""
    enabled: bool = True


class ChangeWebhook(Body):
    """`PATCH /v1/webhooks/{webhook_id}`: what is not named stays, so the defaults mean nothing."""

    url: Url = ""
    events: Events = ()
    description: Description = ""
    enabled: bool = True


class RotateSecret(Body):
    """`POST …/rotate-secret`: how long deliveries are signed with the old secrets too."""

    overlap_hours: Annotated[WholeNumber, Field(ge=0, le=MAX_OVERLAP_HOURS)] = 24


def webhook_view(webhook: Webhook) -> dict[str, Any]:
    """The endpoint as the API shows it."""
    view: dict[str, Any] = {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "description": webhook.description,
        "enabled": webhook.enabled,
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }
    if webhook.disabled_reason is not None:
        view["disabled_reason"] = webhook.disabled_reason
    return view


def delivery_view(delivery: Delivery, *, whole: bool = False) -> dict[str, Any]:
    """The delivery as the API shows it; the `whole` of it has what was sent, as `payload`."""
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
    return {name: value for name, value in view.items() if value is not None}
