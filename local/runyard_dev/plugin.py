"""A module that changes the processes of the local stack, named by an environment variable.

The module has `install() -> None`, which the process of the Lambda functions calls before it
imports a handler, and `create_app()`, which returns the web application instead of the service's.
"""

import importlib
import os

PLUGIN_VARIABLE = "RUNYARD_DEV_PLUGIN"


def install_plugin() -> None:
    """Import the module that the environment names, if it names one, and install it."""
    if name := os.environ.get(PLUGIN_VARIABLE):
        importlib.import_module(name).install()
