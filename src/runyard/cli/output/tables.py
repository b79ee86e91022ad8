"""Tables and lists of fields for a terminal."""

from collections.abc import Sequence
from typing import TextIO

from runyard.cli.output.console import open_console, print_hanging
from runyard.cli.output.escape import escape

_GAP = 2
_MIN_COLUMNS = 4
_MIN_WIDTH = 8


def print_table(
    file: TextIO, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> None:
    """Print a header and the rows.

    A narrow terminal gets fewer columns, at least four, and then narrower ones. The first column is
    never cut: it has the ids that other commands need.
    """
    from rich.cells import cell_len
    from rich.text import Text

    console = open_console(file, width)
    texts = [list(columns), *([escape(value) for value in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    while len(widths) > _MIN_COLUMNS and _total(widths) > console.width:
        widths.pop()
    _shrink(widths, console.width)
    for number, row in enumerate(texts):
        line = Text(style="dim" if number == 0 else "", no_wrap=True)
        for value, size in zip(row, widths, strict=False):
            text = Text(value)
            text.truncate(size, overflow="ellipsis", pad=True)
            line.append_text(text).append(" " * _GAP)
        line.rstrip()
        console.print(line, soft_wrap=True)


def _shrink(widths: list[int], available: int) -> None:
    """Make columns narrower, the widest first, until the row fits. The first one stays."""
    while _total(widths) > available:
        widest = max(range(1, len(widths)), key=lambda index: widths[index], default=0)
        if not widest or widths[widest] <= _MIN_WIDTH:
            return
        widths[widest] -= 1


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def print_fields(file: TextIO, fields: Sequence[tuple[str, str]], width: int | None = None) -> None:
    """Print each name and its value, wrapped at the width of the terminal."""
    from rich.cells import cell_len
    from rich.text import Text

    console = open_console(file, width)
    name_width = max((cell_len(name) for name, _ in fields), default=0)
    for name, value in fields:
        prefix = Text(escape(name), style="dim")
        prefix.pad_right(name_width + _GAP - prefix.cell_len)
        print_hanging(console, prefix, escape(value))
