"""The HTTP API behind API Gateway: every route, no streams (those go to the function URL)."""

from typing import TYPE_CHECKING, Any

from mangum import Mangum

from runyard import quick_imports
from runyard.event_loops import event_loop
from runyard.observability import invocation
from runyard.web.app import create_app

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_asgi = Mangum(create_app(), lifespan="off")
quick_imports.end()


@invocation
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take an HTTP API event, payload version 2.0; give its response."""
    event_loop()  # Mangum takes the thread's, and does not make one.
    # Mangum's own idea of a context differs from Powertools' in nothing that is used.
    return _asgi(event, context)  # type: ignore[arg-type]
