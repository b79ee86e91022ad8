"""Join surrogate pairs that a server cuts between two deltas.

A JSON text can write one character as two escapes, such as `\\ud83d\\ude00`. Some servers send each
half in a delta of its own.
"""

from collections.abc import Iterator
from dataclasses import replace

from runyard_service.agents.models.base import ReasoningDelta, ResponseDelta
from runyard_service.agents.tool_arguments import encodable

_Delta = ReasoningDelta | ResponseDelta


class SurrogateJoiner:
    """Hold back a delta's last character if it is the first half of a pair."""

    def __init__(self) -> None:
        self._held: _Delta | None = None

    def feed(self, delta: _Delta | None) -> Iterator[_Delta]:
        """Yield what is complete; None brings nothing."""
        if delta is None:
            return
        held, self._held = self._held, None
        text = delta.delta
        if held is not None and type(held) is type(delta):
            text = held.delta + text
        elif held is not None:
            yield _without_surrogates(held)
        if "\ud800" <= text[-1:] <= "\udbff":
            self._held, text = replace(delta, delta=text[-1]), text[:-1]
        if text:
            yield _without_surrogates(replace(delta, delta=text))

    def flush(self) -> Iterator[_Delta]:
        """Yield what was held back, at the end of the stream."""
        if self._held is not None:
            yield _without_surrogates(self._held)


def _without_surrogates(delta: _Delta) -> _Delta:
    return replace(delta, delta=encodable(delta.delta))
