"""The plugin of the local stack's processes (RUNYARD_DEV_PLUGIN) that installs the strict rules."""

from typing import Any

from tests.support.servers.strict_dynamodb import hook


def install() -> None:
    """Install the rules in the process of the Lambda functions."""
    hook.install()


def create_app() -> Any:
    """Install the rules in the web process, and return the service's application."""
    hook.install()
    from functions.stream.app import create_app as create

    return create()
