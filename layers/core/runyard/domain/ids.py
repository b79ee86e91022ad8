"""Names of things: UUIDs, drawn at random or derived from what they belong to."""

from uuid import UUID, uuid4, uuid5

# A fixed namespace, so that derived ids are the same in every process and every release.
_NAMESPACE = UUID("6f3d1a52-7f0e-4c0b-9c57-0f5f0b7c2d11")


def new_id() -> str:
    """A new random UUID."""
    return str(uuid4())


def derived_id(*parts: str) -> str:
    """The UUID that these parts always lead to; taking a step up again gives the same id."""
    return str(uuid5(_NAMESPACE, "/".join(parts)))


def is_id(text: str) -> bool:
    """Whether the text is a UUID in its canonical form."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
