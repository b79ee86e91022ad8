"""Tickets: leave to read one run's stream, or its export, for a few minutes, with no header.

They stand in the query of the address: `<run id>.<scope>.<expiry>.<key id>.<signature>`.
Run, scope and expiry (Unix seconds) are signed: what is made for one of them is good for no other.
"""

import hmac
import re
import time
from datetime import UTC, datetime
from typing import Literal

from runyard_service.adapters.secrets import TICKET_SECONDS, TicketKey, TicketKeys
from runyard_service.domain.clock import timestamp

Scope = Literal["stream", "export"]

_TICKET = re.compile(r"([^.]+)\.([a-z]+)\.([0-9]{1,12})\.([0-9a-f]{12})\.([0-9a-f]{64})", re.ASCII)
# How far the clock of the process that signed may be ahead of ours.
_CLOCK_SECONDS = 60


def issue(keys: TicketKeys, run_id: str, scope: Scope = "stream") -> str:
    """A ticket for the run, good for `TICKET_SECONDS`. Raises as `TicketKeys.signing` does."""
    key, expiry = keys.signing(), int(time.time()) + TICKET_SECONDS
    return f"{run_id}.{scope}.{expiry}.{key.id}.{_signature(key, run_id, scope, expiry)}"


def expires_at(ticket: str) -> str:
    """When a ticket that was issued here expires, as a timestamp."""
    return timestamp(datetime.fromtimestamp(int(ticket.split(".")[2]), UTC))


def is_valid(keys: TicketKeys, ticket: str, run_id: str, scope: Scope = "stream") -> bool:
    """Whether the ticket was issued here, for this run and scope, and has not expired.

    Raises as `TicketKeys.find` does.
    """
    match = _TICKET.fullmatch(ticket)
    if match is None or (match[1], match[2]) != (run_id, scope):
        return False
    expiry = int(match[3])
    # None is issued for longer, so a key that has leaked signs nothing that outlives it.
    if not 0 < expiry - time.time() <= TICKET_SECONDS + _CLOCK_SECONDS:
        return False
    key = keys.find(match[4])
    return key is not None and hmac.compare_digest(_signature(key, run_id, scope, expiry), match[5])


def _signature(key: TicketKey, run_id: str, scope: Scope, expiry: int) -> str:
    return key.sign(f"ticket:{run_id}:{scope}:{expiry}")
