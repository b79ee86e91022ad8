"""`runyard lint`: find code of durable agents that can differ in a replay."""

import sys
from pathlib import Path

import click


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH…",
)
def lint(paths: tuple[Path, ...]) -> None:
    """Find clocks, randomness and network calls outside of steps.

    PATH is a Python file or a folder. Exit with 1 if there is a finding.
    """
    from runyard.lint import lint_files

    try:
        findings = lint_files(paths)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise click.ClickException(f"not a Python file: {error}") from None
    for finding in findings:
        click.echo(finding)
    if findings:
        sys.exit(1)
    click.echo("no findings", err=True)
