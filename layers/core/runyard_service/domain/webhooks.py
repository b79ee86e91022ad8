"""Webhooks: where a project wants to be told of its runs, and what was sent there.

A *delivery* is one notice for one endpoint. Its id is the same however often it is made and sent
(`webhook-id`), so that who is told twice can know it. Signed by Standard Webhooks, version v1.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.events import LIFECYCLE_TYPES
from runyard_service.domain.ids import timed_id
from runyard_service.domain.notifications import Notification

SECRET_PREFIX = "whsec_"
_SECRET_BYTES = 32
EVERYTHING = "*"
# A new secret and the ones that it replaces, while those are still good.
MAX_SECRETS = 4
# What is kept of the attempts of one delivery: the newest.
MAX_STORED_ATTEMPTS = 25

DeliveryState = Literal["pending", "delivered", "failed"]


class Webhook(BaseModel):
    """One endpoint. `disabled_reason` is `gone` where the endpoint itself asked for no more."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    org_id: str
    project_id: str
    url: str
    events: tuple[str, ...] = (EVERYTHING,)
    description: str = ""
    enabled: bool = True
    disabled_reason: Literal["gone"] | None = None
    created_at: str
    updated_at: str

    def subscribes_to(self, type_: str) -> bool:
        """Whether the endpoint is to be told of events of this type."""
        return self.enabled and any(_matches(pattern, type_) for pattern in self.events)


def is_pattern(text: str) -> bool:
    """Whether some event can match: a type, the beginning of one (`run.*`), or `*`."""
    return any(_matches(text, type_) for type_ in LIFECYCLE_TYPES)


def _matches(pattern: str, type_: str) -> bool:
    if pattern.endswith(".*"):
        return type_.startswith(pattern[:-1])
    return pattern in (EVERYTHING, type_)


class Secret(BaseModel):
    """What deliveries are signed with; from `expires_at` on no more. `id` is not secret."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    text: str
    expires_at: str | None = None

    def is_valid(self) -> bool:
        """Whether deliveries are signed with it now."""
        return self.expires_at is None or timestamp() < self.expires_at


def new_secret(secret_id: str) -> Secret:
    """A new random secret."""
    key = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    return Secret(id=secret_id, text=SECRET_PREFIX + key)


def signed_headers(
    delivery_id: str, body: str, signing: Sequence[Secret], at: datetime
) -> dict[str, str]:
    """The headers that prove a body to whoever has one of the secrets."""
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
    """One try: the response's status and its beginning, or why there is no response."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    at: str
    duration_ms: int
    status_code: int | None = None
    response: str | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the endpoint has taken it."""
        return self.status_code is not None and 200 <= self.status_code < 300


class Delivery(BaseModel):
    """One notice for one endpoint. `body` is what is sent, to the byte, at every attempt.

    A *round* is the attempts that follow one cause: the event, then each redelivery. `tries` counts
    those of the present round; a message of an earlier one moves nothing any more.
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
    def create(cls, notice: Notification, webhook: Webhook) -> "Delivery":
        """The delivery that this notice always makes for the endpoint."""
        return cls(
            id=timed_id(parse(notice.timestamp), webhook.id, notice.event_id),
            webhook_id=webhook.id,
            project_id=webhook.project_id,
            event_id=notice.event_id,
            event_type=notice.type,
            run_id=notice.run_id,
            created_at=notice.timestamp,
            body=notice.text(),
        )

    def for_redelivery(self) -> "Delivery":
        """The same delivery at the beginning of another round."""
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
        """The delivery with one attempt more."""
        return self.model_copy(
            update={
                "state": state,
                "failure": failure,
                "attempt_count": self.attempt_count + 1,
                "attempts": (*self.attempts, attempt)[-MAX_STORED_ATTEMPTS:],
                "next_attempt_at": next_attempt_at,
            }
        )

    def abandoned(self, reason: str) -> "Delivery":
        """The delivery that is not tried any more."""
        return self.model_copy(
            update={"state": "failed", "failure": reason, "next_attempt_at": None}
        )

    def seconds_left(self) -> float:
        """How long until it may be tried; 0 where that is now."""
        if self.next_attempt_at is None:
            return 0.0
        return max(0.0, (parse(self.next_attempt_at) - now()).total_seconds())
