"""Runyard for its users: the client, the command line, and durable agents in their own code.

    from runyard import Runyard, events
    from runyard import agent

Importing this package imports neither the client nor the service nor the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard import events
    from runyard.client.aio.client import AsyncRunyard
    from runyard.client.configuration import ConfigurationError
    from runyard.client.core.bodies import File
    from runyard.client.errors import (
        ApiError,
        Conflict,
        ConnectionLost,
        GapError,
        KeyRefused,
        NotFound,
        RateLimited,
        RunCanceled,
        RunFailed,
        RunWaits,
        RunyardError,
        Timeout,
        WebhookRejected,
    )
    from runyard.client.sync.client import Runyard
    from runyard.durable.context import Context, SyncContext
    from runyard.durable.errors import StepFailed
    from runyard.durable.handler import agent
    from runyard.durable.results import Approval, ModelResponse

__all__ = [
    "ApiError",
    "Approval",
    "AsyncRunyard",
    "ConfigurationError",
    "Conflict",
    "ConnectionLost",
    "Context",
    "File",
    "GapError",
    "KeyRefused",
    "ModelResponse",
    "NotFound",
    "RateLimited",
    "RunCanceled",
    "RunFailed",
    "RunWaits",
    "Runyard",
    "RunyardError",
    "StepFailed",
    "SyncContext",
    "Timeout",
    "WebhookRejected",
    "agent",
    "events",
]

_NAMES = {
    "client.aio.client": ("AsyncRunyard",),
    "client.configuration": ("ConfigurationError",),
    "client.core.bodies": ("File",),
    "client.errors": (
        *("ApiError", "Conflict", "ConnectionLost", "GapError", "KeyRefused", "NotFound"),
        *("RateLimited", "RunCanceled", "RunFailed", "RunWaits", "RunyardError", "Timeout"),
        "WebhookRejected",
    ),
    "client.sync.client": ("Runyard",),
    "durable.context": ("Context", "SyncContext"),
    "durable.errors": ("StepFailed",),
    "durable.handler": ("agent",),
    "durable.results": ("Approval", "ModelResponse"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: no user needs all of them."""
    if name == "events":
        return import_module("runyard.events")
    if name not in _MODULES:
        raise AttributeError(f"module 'runyard' has no attribute {name!r}")
    return getattr(import_module(f"runyard.{_MODULES[name]}"), name)
