"""The application for a server process of its own, which no handler starts."""

import logging

from fastapi import FastAPI

from runyard_service import cold_start
from runyard_service.api import app
from runyard_service.observability.logging import logger


def create_app() -> FastAPI:
    """The app, in a process whose every line is JSON, the server's own among them."""
    server = logging.getLogger("uvicorn")
    server.handlers, server.propagate = logger.handlers, False
    made = app.create_app()
    cold_start.end()
    return made
