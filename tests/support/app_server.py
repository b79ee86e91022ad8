"""An API server in the test's process, which a test can configure and stop."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.secrets import TicketKeys
from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.api.app import create_app
from runyard_service.api.services import Services
from runyard_service.settings import Settings
from tests.support.orchestrators import make_orchestrator


def make_services(stack: DevStack, **configured: Any) -> Services:
    """Return the services of an API server on this stack, with changed settings."""
    settings = Settings.from_environment(stack.environment).model_copy(update=configured)
    return Services(
        settings=settings,
        stores=stores_of(stack.environment),
        orchestrator=make_orchestrator(stack),
        catalog=Registry(AgentDirectory(Path(settings.agents_dir))),
        ticket_keys=TicketKeys(lambda: stack.client("secretsmanager"), settings.ticket_secret_id),
        connect_delivery_queue=lambda: DeliveryQueue(
            stack.client("sqs"), settings.webhook_queue_url
        ),
    )


def app_with(services: Services) -> FastAPI:
    """Return the API's app over these services."""
    return create_app(lambda: services)


ENDPOINTS: Sequence[Literal["api", "stream"]] = ("api", "stream")


@contextmanager
def endpoint_client(
    stack: DevStack, endpoint: Literal["api", "stream"], **configured: Any
) -> Iterator[TestClient]:
    """Yield a client of one endpoint. That of the API redirects streams to the stack."""
    stream_url = stack.base_url if endpoint == "api" else ""
    settings = {"endpoint": endpoint, "stream_url": stream_url, **configured}
    headers = {"Authorization": f"Bearer {stack.access_key}"}
    app = app_with(make_services(stack, **settings))
    with TestClient(app, headers=headers, follow_redirects=False) as client:
        yield client


@contextmanager
def running_app(services: Services) -> Iterator[str]:
    """Serve the app with uvicorn during the block; yield its URL."""
    config = uvicorn.Config(
        app_with(services), port=0, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen(100)  # A client that connects before the server is up waits for it.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
