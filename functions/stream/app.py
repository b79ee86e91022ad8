"""Serve the HTTP API in a server process: for the function URL and the local stack."""

from typing import TYPE_CHECKING

from runyard_service import cold_start
from runyard_service.container import container
from runyard_service.observability.logging import configure_observability, log_server_as_json

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app() -> "FastAPI":
    """Return the app. uvicorn calls this once, after it has configured its own logging."""
    configure_observability()
    log_server_as_json()
    app = container().create_app()
    cold_start.freeze_gc()
    return app
