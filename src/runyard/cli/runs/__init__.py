"""Start, follow and manage runs over HTTP."""
