"""Tickets: leave to read one run's stream for a few minutes, where no header can be sent.

`<run id>.<expiry, unix seconds>.<HMAC-SHA256 of both>`, in the query of the stream's address.
"""

import hashlib
import hmac
import time
from datetime import UTC, datetime

from runyard.domain.clock import stamp

LIFE_SECONDS = 300


def issue(secret: str, run_id: str) -> str:
    """A ticket for the run's stream, good for `LIFE_SECONDS`."""
    expiry = int(time.time()) + LIFE_SECONDS
    return f"{run_id}.{expiry}.{_signature(secret, run_id, expiry)}"


def expires_at(ticket: str) -> str:
    """When a ticket that was issued here expires, as a timestamp."""
    return stamp(datetime.fromtimestamp(int(ticket.split(".")[1]), UTC))


def is_good(secret: str, ticket: str, run_id: str) -> bool:
    """Whether the ticket was issued here, for this run, and has not expired."""
    ticket_run_id, _, rest = ticket.partition(".")
    expiry_text, _, signature = rest.partition(".")
    if ticket_run_id != run_id or not expiry_text.isdecimal() or len(expiry_text) > 12:
        return False
    expiry = int(expiry_text)
    wanted = _signature(secret, run_id, expiry)
    return hmac.compare_digest(wanted.encode(), signature.encode()) and time.time() < expiry


def _signature(secret: str, run_id: str, expiry: int) -> str:
    text = f"stream:{run_id}:{expiry}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
