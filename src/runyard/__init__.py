"""Runyard for its users: the command line, and durable agents in their own code.

    from runyard import agent

Importing this package imports neither the service nor the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.durable.context import Context, SyncContext
    from runyard.durable.errors import StepFailed
    from runyard.durable.handler import agent
    from runyard.durable.results import Approval, ModelResponse

__all__ = ["Approval", "Context", "ModelResponse", "StepFailed", "SyncContext", "agent"]

_MODULES = {
    "Approval": "results",
    "Context": "context",
    "ModelResponse": "results",
    "StepFailed": "errors",
    "SyncContext": "context",
    "agent": "handler",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the command line needs none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module 'runyard' has no attribute {name!r}")
    return getattr(import_module(f"runyard.durable.{_MODULES[name]}"), name)
