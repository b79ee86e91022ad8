"""The plugin of the local stack's processes (RUNYARD_DEV_PLUGIN) that installs the strict rules."""

import os
from typing import Any

from runyard_dev.plugin import PLUGIN_VARIABLE
from tests.support.servers.strict_dynamodb import hook


def enable() -> None:
    """Install the rules in this process, and in the processes of each local stack it starts."""
    hook.install()
    os.environ.setdefault(PLUGIN_VARIABLE, __name__)


def install() -> None:
    """Install the rules in the process of the Lambda functions."""
    hook.install()


def create_app() -> Any:
    """Install the rules in the web process, and return the service's application."""
    hook.install()
    from functions.stream.app import create_app as create

    return create()
