"""The domain model of a run. It imports only pydantic and the standard library."""
