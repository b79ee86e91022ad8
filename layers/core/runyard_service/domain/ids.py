"""Names of things: UUIDs, drawn at random or derived from what they belong to."""

import hashlib
from datetime import datetime
from uuid import UUID, uuid4, uuid5

# A fixed namespace, so that derived ids are the same in every process and every release.
_NAMESPACE = UUID("6f3d1a52-7f0e-4c0b-9c57-0f5f0b7c2d11")


def new_id() -> str:
    """A new random UUID."""
    return str(uuid4())


def new_ids(count: int) -> list[str]:
    """As many new UUIDs: a random one, and those that follow it.

    As surely nobody else's as random ones, and hardly any room where they are compressed together.
    """
    start, number = (first := new_id())[:24], int(first[24:], 16)
    return [f"{start}{(number + place) % 2**48:012x}" for place in range(count)]


def derived_id(*parts: str) -> str:
    """The UUID that these parts always lead to; taking a step up again gives the same id."""
    return str(uuid5(_NAMESPACE, "/".join(parts)))


def timed_id(moment: datetime, *parts: str) -> str:
    """The UUID (version 7: it sorts by time, to the millisecond) that these always lead to."""
    milliseconds = round(moment.timestamp() * 1000)
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()
    variant = "89ab"[int(digest[3], 16) % 4]
    digits = f"{milliseconds:012x}7{digest[:3]}{variant}{digest[4:19]}"
    return str(UUID(digits))


def is_id(text: str) -> bool:
    """Whether the text is a UUID in its canonical form."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
