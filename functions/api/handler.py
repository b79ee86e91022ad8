"""The HTTP API of API Gateway: every route, but no streams (the function URL serves those)."""

from typing import TYPE_CHECKING, Any

from mangum import Mangum

from runyard_service import cold_start
from runyard_service.container import container
from runyard_service.event_loops import event_loop
from runyard_service.observability.logging import configure_observability, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()
_asgi = Mangum(container().create_app(), lifespan="off")
cold_start.freeze_gc()


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Return the response to an HTTP API event of payload version 2.0."""
    event_loop()  # Mangum takes the thread's, and does not make one.
    # Mangum's own idea of a context differs from Powertools' in nothing that is used.
    return _asgi(event, context)  # type: ignore[arg-type]
