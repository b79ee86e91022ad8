"""Signatures of the service and of Standard Webhooks' own package."""

import json
from datetime import UTC, datetime

import pytest
import standardwebhooks

from runyard import WebhookRejected
from runyard.client.core.webhooks import verify
from runyard_service.domain.webhooks import Secret, new_secret, signed_headers

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOW = AT.timestamp()
BODY = json.dumps(
    {"type": "run.completed", "timestamp": "2026-11-28T12:00:00.000Z", "data": {"run_id": "é"}}
)
OLD, NEW, OTHER = new_secret("old"), new_secret("new"), new_secret("other")


def headers(*signing: Secret) -> dict[str, str]:
    return signed_headers("delivery-1", BODY, signing, AT)


def test_a_notification_of_the_service() -> None:
    found = verify(BODY.encode(), headers(NEW), NEW.text, now=NOW)
    assert (found.id, found.type, found.data) == ("delivery-1", "run.completed", {"run_id": "é"})
    # Header names have any case, and a framework may decode the body.
    named = {name.title(): value for name, value in headers(NEW).items()}
    assert verify(BODY, named, [OTHER.text, NEW.text], now=NOW) == found


def test_a_signature_of_the_standard_package() -> None:
    signature = standardwebhooks.Webhook(NEW.text).sign("delivery-1", AT, BODY)
    sent = headers(OTHER) | {"webhook-signature": f"v1a,xyz v1,*** v1 {signature}"}
    assert verify(BODY, sent, NEW.text, now=NOW).type == "run.completed"


def test_a_rotation() -> None:
    both = headers(NEW, OLD)
    for secret in (OLD, NEW):
        assert verify(BODY, both, secret.text, now=NOW).id == "delivery-1"
    assert verify(BODY, headers(NEW), [OLD.text, NEW.text], now=NOW).id == "delivery-1"


def test_the_tolerance() -> None:
    for offset in (-300, 300):
        assert verify(BODY, headers(NEW), NEW.text, now=NOW + offset).id == "delivery-1"
    for offset in (-301, 301):
        with pytest.raises(WebhookRejected, match="more than 300 seconds off"):
            verify(BODY, headers(NEW), NEW.text, now=NOW + offset)
    assert verify(BODY, headers(NEW), NEW.text, now=NOW + 900, tolerance=1000).id == "delivery-1"


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-id": "delivery-2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(int(NOW) + 1)},
        {"webhook-timestamp": "١٢"},
        {"webhook-timestamp": "-1"},
    ],
)
def test_a_changed_request(changed: dict[str, str]) -> None:
    with pytest.raises(WebhookRejected):
        verify(BODY, headers(NEW) | changed, NEW.text, now=NOW)


def test_a_changed_body_and_another_secret() -> None:
    for body, secret in ((BODY + " ", NEW), (BODY, OTHER)):
        with pytest.raises(WebhookRejected, match="no signature in webhook-signature fits"):
            verify(body, headers(NEW), secret.text, now=NOW)


def test_a_secret_of_the_wrong_form_is_an_error_of_the_receiver() -> None:
    for secret in ("", "whsec_", "whsec_***"):
        with pytest.raises(ValueError, match="whsec_"):
            verify(BODY, headers(NEW), secret, now=NOW)
