"""Find the tags around reasoning in streamed text, wherever the server cuts them.

pydantic-ai recognizes a tag only if it is a whole delta.
"""

from collections.abc import Iterator

OPENING, CLOSING = TAGS = ("<think>", "</think>")


class ThinkTagSplitter:
    """Split streamed text, so each tag is a piece of its own.

    `is_open` means that the text starts inside the reasoning: the server's prompt has the opening
    tag. A closing tag without an opening tag stays in the text; `split_at_closing_tag` uses it.
    """

    def __init__(self, *, is_open: bool = False) -> None:
        self._pending = OPENING if is_open else ""
        self._is_open = False
        self._skips_space = False

    def feed(self, text: str) -> Iterator[str]:
        """Yield the pieces that are certain; hold back what may be the start of a tag."""
        self._pending += text
        while (position := self._pending.find(self._next_tag)) >= 0:
            tag = self._next_tag
            yield from self._text(self._pending[:position])
            self._pending = self._pending[position + len(tag) :]
            self._is_open, self._skips_space = not self._is_open, True
            yield tag
        certain = len(self._pending) - _length_of_partial_tag(self._pending, self._next_tag)
        yield from self._text(self._pending[:certain])
        self._pending = self._pending[certain:]

    def flush(self) -> Iterator[str]:
        """Yield what was held back, at the end of the text."""
        pending, self._pending = self._pending, ""
        yield from self._text(pending)

    @property
    def _next_tag(self) -> str:
        return CLOSING if self._is_open else OPENING

    def _text(self, text: str) -> Iterator[str]:
        # Line breaks after a tag belong to neither the reasoning nor the answer.
        if self._skips_space:
            text = text.lstrip()
        if text:
            self._skips_space = False
            yield text


def split_at_closing_tag(text: str) -> tuple[str, str] | None:
    """Return the reasoning and the answer of a text that has only a closing tag; else None."""
    reasoning, tag, answer = text.rpartition(CLOSING)
    return (reasoning, answer.lstrip()) if tag else None


def _length_of_partial_tag(text: str, tag: str) -> int:
    """Return the length of the longest end of `text` that starts `tag`."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
