"""The consoles of the commands. Rich is imported here, where it draws, and nowhere else."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

from runyard.cli.output.escape import escape

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from runyard.cli.output.timeline import RowKind

_STYLES: "dict[RowKind, str]" = {
    "done": "green",
    "failed": "red",
    "waits": "yellow",
    "again": "yellow",
    "note": "dim",
}
_SYMBOLS: "dict[RowKind, tuple[str, str]]" = {
    "done": ("✓", "v"),
    "failed": ("✗", "x"),
    "waits": ("○", "o"),
    "again": ("↻", "~"),
    "note": ("·", "-"),
}


def open_console(file: TextIO, width: int | None = None) -> "Console":
    """Return a console that writes to the file. It prints texts as they are, without markup.

    `NO_COLOR` switches every style off, also bold and dim.
    """
    from rich.console import Console

    has_colors = file.isatty() and not os.environ.get("NO_COLOR")
    return Console(
        file=file,
        width=width,
        color_system="auto" if has_colors else None,
        no_color=not has_colors,
        highlight=False,
        markup=False,
        emoji=False,
    )


def can_animate(file: TextIO) -> bool:
    """Return whether a spinner may move the cursor of this file's terminal."""
    return (
        file.isatty()
        and not os.environ.get("CI")
        and os.environ.get("TERM") not in (None, "", "dumb")
    )


def can_ask() -> bool:
    """Return whether a person can see an input request on standard error and type an answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def symbol(kind: "RowKind", file: TextIO) -> "Text":
    """Return the symbol of a row, in ASCII if the file cannot write it."""
    from rich.text import Text

    pretty, ascii_ = _SYMBOLS[kind]
    return Text(choose(file, pretty, ascii_), style=_STYLES[kind])


def choose(file: TextIO, pretty: str, ascii_: str) -> str:
    """Return the first text if the encoding of the file has it, or else the second one."""
    try:
        pretty.encode(file.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ascii_
    return pretty


def print_hanging(console: "Console", prefix: "Text", text: str) -> None:
    """Print the prefix and the whole text; its further lines are below its first one."""
    from rich.text import Text

    indent = prefix.cell_len
    lines = Text(text).wrap(console, max(1, console.width - indent)) or [Text()]
    for number, line in enumerate(lines):
        line.rstrip()
        start = prefix if number == 0 else Text(" " * indent)
        console.print(Text.assemble(start, line), soft_wrap=True)


def cell(text: str, width: int, file: TextIO) -> str:
    """Return the escaped text in exactly `width` columns; a longer one ends in an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    text = escape(text)
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    ellipsis = choose(file, "…", ".")
    return set_cell_size(text, width - 1) + ellipsis
