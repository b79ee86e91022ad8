"""The optional parts of the distribution, and the errors of the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Literal

import click

Extra = Literal["admin", "dev"]

_MODULES: dict[Extra, tuple[str, ...]] = {
    "admin": ("boto3", "runyard_service"),
    "dev": ("boto3", "runyard_service", "runyard_dev", "moto", "pydantic_ai"),
}


class MissingExtraError(click.ClickException):
    """The command needs an extra that is not installed."""

    exit_code = 2


def require_extra(extra: Extra) -> None:
    """Raise MissingExtraError if a package of the extra is not installed."""
    missing = [module for module in _MODULES[extra] if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"this command needs {', '.join(missing)}. Install the extra:"
            f' pip install "runyard[{extra}]"'
        )


@contextmanager
def service_errors() -> Iterator[None]:
    """Turn errors of the service, of AWS and of the local stack into messages with exit code 1."""
    from botocore.exceptions import BotoCoreError, ClientError

    from runyard_service.domain.errors import DefinitionError, RunyardError
    from runyard_service.domain.request_errors import ConflictError
    from runyard_service.settings import InvalidSettingsError

    expected: list[type[Exception]] = [
        *(BotoCoreError, ClientError, RunyardError),
        InvalidSettingsError,
    ]
    if find_spec("moto"):
        from runyard_dev.errors import LocalStackError

        expected.append(LocalStackError)
    try:
        yield
    except DefinitionError as error:
        click.echo(str(error), err=True)  # One line for each error in the files.
        raise click.exceptions.Exit(1) from None
    except ConflictError as error:
        details = "; ".join(f"{field} {reason}" for field, reason in error.details.items())
        raise click.ClickException(details or str(error)) from None
    except tuple(expected) as error:
        raise click.ClickException(str(error)) from None
