"""Turn errors of the client into a message on standard error and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from runyard.cli.exit_codes import ExitCode
from runyard.cli.output.escape import escape, escape_lines

if TYPE_CHECKING:
    from runyard.client.errors import ApiError, RunyardError

# Statuses for which the caller has to change the command.
_USAGE_STATUSES = frozenset({400, 413, 415, 422})


def fail(message: str, code: ExitCode) -> NoReturn:
    """Print the message, without control characters, and exit with the code."""
    click.echo(f"Error: {escape_lines(message)}", err=True)
    raise click.exceptions.Exit(code)


def note(message: str) -> None:
    """Print a line for a person on standard error, without control characters."""
    click.echo(escape_lines(message), err=True)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Exit with the code of an error of the client, of its configuration, or of Ctrl-C."""
    from runyard.client.configuration import ConfigurationError
    from runyard.client.errors import RunyardError

    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except ConfigurationError as error:
        fail(str(error), ExitCode.USAGE)
    except RunyardError as error:
        fail(_message(error), _code_of(error))


def _code_of(error: "RunyardError") -> ExitCode:
    from runyard.client import errors

    if isinstance(error, errors.ApiError):
        return code_of_status(error.status)
    codes: dict[type[errors.RunyardError], ExitCode] = {
        errors.RunFailed: ExitCode.FAILED,
        errors.RunCanceled: ExitCode.CANCELED,
        errors.RunWaits: ExitCode.WAITS,
        errors.Timeout: ExitCode.TIMEOUT,
    }
    return codes.get(type(error), ExitCode.SERVICE)


def code_of_status(status: int) -> ExitCode:
    """Return the exit code of an error with this HTTP status."""
    codes = {
        401: ExitCode.KEY_REJECTED,
        403: ExitCode.KEY_REJECTED,
        404: ExitCode.NOT_FOUND,
        409: ExitCode.CONFLICT,
    }
    default = ExitCode.USAGE if status in _USAGE_STATUSES else ExitCode.SERVICE
    return codes.get(status, default)


def _message(error: "RunyardError") -> str:
    from runyard.client import errors

    if isinstance(error, errors.Conflict) and error.answered_by:
        at = f" at {error.answered_at}" if error.answered_at else ""
        return f"{error.answered_by} has answered already{at}"
    if isinstance(error, errors.ApiError):
        return describe(error)
    if isinstance(error, errors.ConnectionLost):
        return f"{error}\n  `runyard whoami` shows where the URL is from. Is the service running?"
    return str(error)


def describe(error: "ApiError") -> str:
    """Return what is wrong, by field if the service says it, and the id of the request."""
    lines = [f"{escape(field)}: {escape(str(issue))}" for field, issue in error.details.items()]
    message = error.message or f"HTTP {error.status}"
    if error.status == 404 and not error.details:
        lines.append("It does not exist, or it belongs to another project.")
    if "X-Project-Id" in error.details:
        lines.append("Name the project with --project, or with RUNYARD_PROJECT.")
    if error.status in (401, 403):
        lines.append("`runyard whoami` shows where the access key is from.")
    if error.request_id and error.status >= 500:
        lines.append(f"The request {error.request_id} is in the log of the service.")
    return "\n  ".join([message, *lines])
