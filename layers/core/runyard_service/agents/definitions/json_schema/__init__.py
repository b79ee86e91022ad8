"""JSON Schemas of agent files: check a schema, and validate a value."""
