"""Webhooks: the endpoints that receive notifications of a project, and their deliveries.

A *delivery* is one notification for one endpoint. Its id (`webhook-id`) is the same for every
attempt and redelivery, so a receiver can detect duplicates. Signed by Standard Webhooks, version
v1.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.events import LIFECYCLE_TYPES
from runyard_service.domain.ids import timed_id
from runyard_service.domain.notifications import Notification

SECRET_PREFIX = "whsec_"
_SECRET_BYTES = 32
EVERYTHING = "*"
# A new secret and the secrets that it replaces, while these are still valid.
MAX_SECRETS = 4
# The newest attempts of one delivery that its record stores.
MAX_STORED_ATTEMPTS = 25
# An endpoint whose attempts all fail for an hour is paused. After each pause an attempt decides.
# A pause takes a sixth of the time since the first failure. After three days it is disabled.
PAUSE_AFTER = timedelta(hours=1)
DISABLE_AFTER = timedelta(days=3)
LONGEST_PAUSE = timedelta(hours=6)

DeliveryState = Literal["pending", "delivered", "failed"]


class Webhook(BaseModel):
    """One endpoint.

    `disabled_reason` is `gone` if the endpoint responded with 410, and `failing` if every attempt
    failed for DISABLE_AFTER. `failing_since` is the first failed attempt after the last successful
    one. Until `paused_until` Runyard makes no attempt.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    org_id: str
    project_id: str
    url: str
    events: tuple[str, ...] = (EVERYTHING,)
    description: str = ""
    enabled: bool = True
    disabled_reason: Literal["gone", "failing"] | None = None
    failing_since: str | None = None
    paused_until: str | None = None
    created_at: str
    updated_at: str

    def pause_left(self) -> float:
        """Return the seconds until attempts are made again; 0 if the endpoint is not paused."""
        if self.paused_until is None:
            return 0.0
        return max(0.0, (parse(self.paused_until) - now()).total_seconds())

    def health_change(self, attempt: "Attempt", at: datetime) -> dict[str, Any]:
        """Return the fields that an attempt at this time changes; mostly none."""
        if attempt.succeeded:
            is_healthy = self.failing_since is None
            return {} if is_healthy else {"failing_since": None, "paused_until": None}
        if self.failing_since is None:
            return {"failing_since": timestamp(at)}
        failing = at - parse(self.failing_since)
        if failing >= DISABLE_AFTER:
            return {"enabled": False, "disabled_reason": "failing", "paused_until": None}
        if failing >= PAUSE_AFTER:
            return {"paused_until": timestamp(at + min(failing / 6, LONGEST_PAUSE))}
        return {}

    def subscribes_to(self, type_: str) -> bool:
        """Return whether the endpoint receives events of this type."""
        return self.enabled and any(_matches(pattern, type_) for pattern in self.events)


def is_pattern(text: str) -> bool:
    """Return whether an event can match: a type, a prefix of a type (`run.*`), or `*`."""
    return any(_matches(text, type_) for type_ in LIFECYCLE_TYPES)


def _matches(pattern: str, type_: str) -> bool:
    if pattern.endswith(".*"):
        return type_.startswith(pattern[:-1])
    return pattern in (EVERYTHING, type_)


class Secret(BaseModel):
    """A key that signs deliveries until `expires_at`. `id` is not secret."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    text: str
    expires_at: str | None = None

    def is_valid(self) -> bool:
        """Return whether the secret signs deliveries now."""
        return self.expires_at is None or timestamp() < self.expires_at


def new_secret(secret_id: str) -> Secret:
    """Return a new random secret."""
    key = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    return Secret(id=secret_id, text=SECRET_PREFIX + key)


def signed_headers(
    delivery_id: str, body: str, signing: Sequence[Secret], at: datetime
) -> dict[str, str]:
    """Return the headers that prove the body to a receiver with one of the secrets."""
    seconds = str(int(at.timestamp()))
    signed = f"{delivery_id}.{seconds}.{body}".encode()
    signatures = [f"v1,{_signature(secret.text, signed)}" for secret in signing]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class Attempt(BaseModel):
    """One attempt: the status and the start of the response, or the error without a response."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    at: str
    duration_ms: int
    status_code: int | None = None
    response: str | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Return whether the endpoint responded with a 2xx status."""
        return self.status_code is not None and 200 <= self.status_code < 300


class Delivery(BaseModel):
    """One notification for one endpoint. `body` is identical, to the byte, in every attempt.

    A *round* is the attempts for one cause: the event, then each redelivery. `attempt_count` counts
    the attempts of the current round. A queue message of an earlier round has no effect.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    webhook_id: str
    project_id: str
    event_id: str
    event_type: str
    run_id: str | None = None
    created_at: str
    body: str
    state: DeliveryState = "pending"
    failure: str | None = None
    round: int = 0
    attempt_count: int = 0
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: str | None = None

    @classmethod
    def create(cls, notification: Notification, webhook: Webhook) -> "Delivery":
        """Return the delivery of this notification to the endpoint, always with the same id."""
        return cls(
            id=timed_id(parse(notification.timestamp), webhook.id, notification.event_id),
            webhook_id=webhook.id,
            project_id=webhook.project_id,
            event_id=notification.event_id,
            event_type=notification.type,
            run_id=notification.run_id,
            created_at=notification.timestamp,
            body=notification.text(),
        )

    def for_redelivery(self) -> "Delivery":
        """Return the same delivery at the start of a new round."""
        return self.model_copy(
            update={
                "state": "pending",
                "failure": None,
                "round": self.round + 1,
                "attempt_count": 0,
                "next_attempt_at": None,
            }
        )

    def with_attempt(
        self,
        attempt: Attempt,
        state: DeliveryState,
        *,
        failure: str | None = None,
        next_attempt_at: str | None = None,
    ) -> "Delivery":
        """Return the delivery with one more attempt."""
        return self.model_copy(
            update={
                "state": state,
                "failure": failure,
                "attempt_count": self.attempt_count + 1,
                "attempts": (*self.attempts, attempt)[-MAX_STORED_ATTEMPTS:],
                "next_attempt_at": next_attempt_at,
            }
        )

    def postponed(self, until: str) -> "Delivery":
        """Return the delivery without an attempt before `until`, a timestamp."""
        return self.model_copy(update={"next_attempt_at": until})

    def abandoned(self, reason: str) -> "Delivery":
        """Return the delivery as failed, without another attempt."""
        return self.model_copy(
            update={"state": "failed", "failure": reason, "next_attempt_at": None}
        )

    def seconds_left(self) -> float:
        """Return the seconds until the next attempt; 0 if it is due."""
        if self.next_attempt_at is None:
            return 0.0
        return max(0.0, (parse(self.next_attempt_at) - now()).total_seconds())
