"""The application for a server process of its own, which no handler starts."""

import logging

from fastapi import FastAPI

from runyard import quick_imports
from runyard.observability import logger
from runyard.web import app


def create_app() -> FastAPI:
    """The app, in a process whose every line is JSON, the server's own among them."""
    server = logging.getLogger("uvicorn")
    server.handlers, server.propagate = logger.handlers, False
    made = app.create_app()
    quick_imports.end()
    return made
