"""An access key that no `repr` and no traceback shows."""

from collections.abc import Callable
from typing import NoReturn


class AccessKey:
    """An access key. Only `reveal` returns its text."""

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        """Store the text in a closure: tools that print local variables do not show it."""
        self._reveal: Callable[[], str] = lambda: text

    def reveal(self) -> str:
        """Return the text of the key."""
        return self._reveal()

    def __repr__(self) -> str:
        """Return a text without the key."""
        return "AccessKey(…)"

    def __reduce__(self) -> NoReturn:
        """Raise TypeError: a pickled client would contain the key."""
        raise TypeError("an access key cannot be pickled; create a client in each process")
