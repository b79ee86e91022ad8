"""Ids: random UUIDs, and UUIDs derived from other values."""

import hashlib
import re
from datetime import datetime
from uuid import UUID, uuid4, uuid5

# A fixed namespace, so that derived ids are the same in every process and every release.
_NAMESPACE = UUID("6f3d1a52-7f0e-4c0b-9c57-0f5f0b7c2d11")


def new_id() -> str:
    """Return a new random UUID."""
    return str(uuid4())


def new_ids(count: int) -> list[str]:
    """Return `count` new UUIDs: a random UUID and its successors.

    A collision is as improbable as with random UUIDs, and consecutive ids compress well.
    """
    start, number = (first := new_id())[:24], int(first[24:], 16)
    return [f"{start}{(number + offset) % 2**48:012x}" for offset in range(count)]


def derived_id(*parts: str) -> str:
    """Return the UUID of these parts, always the same: a recovered step gets the same id."""
    return str(uuid5(_NAMESPACE, "/".join(parts)))


def timed_id(moment: datetime, *parts: str) -> str:
    """Return the UUID of these values (version 7: sorts by time, to the millisecond)."""
    milliseconds = round(moment.timestamp() * 1000)
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()
    variant = "89ab"[int(digest[3], 16) % 4]
    digits = f"{milliseconds:012x}7{digest[:3]}{variant}{digest[4:19]}"
    return str(UUID(digits))


# The forms of RFC 9562 and of .NET. `UUID` itself also accepts hyphens at any position.
_PLAIN = r"(?:[0-9a-f]{32}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
_ID = re.compile(rf"(?:urn:uuid:)?{_PLAIN}|\{{{_PLAIN}\}}", re.IGNORECASE | re.ASCII)


def parse_id(text: str) -> str | None:
    """Return the UUID in the form in which ids are stored: lower case, with hyphens.

    Accept capitals, no hyphens, a prefix `urn:uuid:`, and braces. Return None for any other text.
    """
    return str(UUID(text.lower())) if _ID.fullmatch(text) else None
