"""The HTTP API. FastAPI is imported here and nowhere else.

Runyard uses FastAPI's routers and dependencies, but not its bodies and OpenAPI (ADR 31):

1. Bodies are strict JSON with a size limit, read in chunks. FastAPI reads a whole body first.
2. Two APIs return errors in two shapes and in our words, also for unknown query parameters.
3. `Path`, `Query` and body parameters add about 8 % to the import of the API, together with
   response models about 11 %. Each cold start pays for that.
4. The contract has examples and rules of existing documents, which models would repeat.
5. So each resource has a YAML file next to its router, and tests compare routes and responses.
"""
