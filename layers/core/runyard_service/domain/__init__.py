"""What is true about a run. Only pydantic and the standard library are imported here."""
