"""`runyard verify`: check the logs of runs."""

from typing import BinaryIO

import click

from runyard.cli.admin.installation import open_stores
from runyard.verify import Export, summarize


@click.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--stack", metavar="NAME", help="Check every run of this deployed stack.")
def verify(*, file: BinaryIO | None, stack: str | None) -> None:
    """Check the log of one run in FILE, or of every run.

    FILE contains the lines of GET /v1/runs/{run_id}/export; - reads standard input. Without FILE
    the command checks every run: of --stack, or of the tables that EVENTS_TABLE, RECORDS_TABLE
    and BUCKET name, or of the local stack in DATA_DIR. It changes nothing. The exit code is 1 if
    there is a violation.
    """
    if file is None:
        violated = _verify_all(stack)
    elif stack:
        raise click.UsageError("use FILE or --stack, not both")
    else:
        violated = _verify_file(file)
    if violated:
        raise click.exceptions.Exit(1)


def _verify_all(stack: str | None) -> int:
    with open_stores(stack) as stores:
        from runyard.cli.verify_stores import verify_stores

        return verify_stores(stores)


def _verify_file(file: BinaryIO) -> int:
    try:
        export = Export(file)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    violations = export.find_violations()
    run_id = export.run.get("id", file.name)
    for violation in violations:
        click.echo(f"{run_id}: {violation}")
    status = export.run.get("status", "missing")
    click.echo(summarize({status: 1}, len(export.events), int(bool(violations))))
    return len(violations)
