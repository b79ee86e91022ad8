"""Tables in plain text."""

from collections.abc import Sequence

import click


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print the rows with aligned columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
