"""Tickets: short-lived permission to read a run, its stream or its export, without a header.

A ticket is a query parameter of the URL: `<run id>.<scope>.<expiry>.<key id>.<signature>`.
The signature covers run, scope and expiry (Unix seconds), so none of them can be changed.
"""

import hmac
import re
import time
from datetime import UTC, datetime
from typing import Literal

from runyard_service.adapters.secrets import TICKET_SECONDS, TicketKey, TicketKeys
from runyard_service.domain.clock import timestamp

Scope = Literal["stream", "export", "run"]

_TICKET = re.compile(r"([^.]+)\.([a-z]+)\.([0-9]{1,12})\.([0-9a-f]{12})\.([0-9a-f]{64})", re.ASCII)
# The clock of the signing process may be this many seconds ahead.
_CLOCK_SECONDS = 60


def issue(keys: TicketKeys, run_id: str, scope: Scope = "stream") -> str:
    """Return a ticket for the run, valid for `TICKET_SECONDS`. Raise as `TicketKeys.signing`."""
    key, expiry = keys.signing(), int(time.time()) + TICKET_SECONDS
    return f"{run_id}.{scope}.{expiry}.{key.id}.{_signature(key, run_id, scope, expiry)}"


def expires_at(ticket: str) -> str:
    """Return the expiry of a ticket that `issue` returned, as a timestamp."""
    return timestamp(datetime.fromtimestamp(int(ticket.split(".")[2]), UTC))


def is_valid(keys: TicketKeys, ticket: str, run_id: str, scope: Scope = "stream") -> bool:
    """Return True if the ticket is signed for this run and scope, and has not expired.

    Raise as `TicketKeys.find`.
    """
    match = _TICKET.fullmatch(ticket)
    if match is None or (match[1], match[2]) != (run_id, scope):
        return False
    expiry = int(match[3])
    # Reject a longer lifetime: a leaked key must not sign tickets that outlive it.
    if not 0 < expiry - time.time() <= TICKET_SECONDS + _CLOCK_SECONDS:
        return False
    key = keys.find(match[4])
    return key is not None and hmac.compare_digest(_signature(key, run_id, scope, expiry), match[5])


def _signature(key: TicketKey, run_id: str, scope: Scope, expiry: int) -> str:
    return key.sign(f"ticket:{run_id}:{scope}:{expiry}")
