"""Pure ASGI middleware of both APIs, because streams must pass through unbuffered."""
