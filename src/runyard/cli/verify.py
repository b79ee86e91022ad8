"""`runyard verify`: check the logs of runs."""

from collections.abc import Iterable
from pathlib import Path

import click

from runyard.cli.admin.installation import open_stores
from runyard.cli.exit_codes import ExitCode
from runyard.cli.session import Session, choose_mode, connection_options
from runyard.verify import Export, summarize


@click.command()
@click.argument("source", metavar="[FILE | RUN]", required=False)
@click.option("--stack", metavar="NAME", help="Check every run of this deployed stack.")
@click.option("--local", is_flag=True, help="Check every run of the local stack in DATA_DIR.")
@connection_options
def verify(*, source: str | None, stack: str | None, local: bool, **connection: str | None) -> None:
    """Check the log of one run, or of every run.

    FILE is an export of `runyard runs export`; - reads standard input. RUN is the id of a run of
    the service. Without both the command checks every run: of --stack, or of the tables that
    EVENTS_TABLE, RECORDS_TABLE and BUCKET name, or of the local stack in DATA_DIR. It changes
    nothing. The exit code is 1 if there is a violation.
    """
    if source is not None and (stack or local):
        raise click.UsageError("use FILE or RUN, or --stack or --local, not both")
    if source is None:
        violated = _verify_all(stack, local=local)
    elif not source or Path(source).is_dir():
        raise click.UsageError(f"{source!r} must be a file or the id of a run")
    elif source == "-" or Path(source).exists():
        with click.open_file(source, "rb") as file:
            violated = _verify_export(file, source)
    else:
        violated = _verify_run(source, connection)
    if violated:
        raise click.exceptions.Exit(1)


def _verify_all(stack: str | None, *, local: bool) -> int:
    with open_stores(stack, local=local) as stores:
        from runyard.cli.verify_stores import verify_stores

        return verify_stores(stores)


def _verify_run(run_id: str, connection: dict[str, str | None]) -> int:
    from runyard.cli.errors import exit_codes, fail
    from runyard.client.errors import NotFound

    session = Session(choose_mode(is_json=False, is_quiet=False), connection)
    with exit_codes():
        try:
            return _verify_export(session.client.runs.export(run_id), run_id)
        except NotFound:
            fail(f"{run_id} is neither a file nor a run of this project", ExitCode.NOT_FOUND)
        finally:
            session.close()


def _verify_export(lines: Iterable[bytes], name: str) -> int:
    try:
        export = Export(lines)
    except ValueError as error:
        raise click.ClickException(f"{name}: {error}") from None
    violations = export.find_violations()
    run_id = export.run.get("id", name)
    for violation in violations:
        click.echo(f"{run_id}: {violation}")
    status = export.run.get("status", "missing")
    click.echo(summarize({status: 1}, len(export.events), int(bool(violations))))
    return len(violations)
