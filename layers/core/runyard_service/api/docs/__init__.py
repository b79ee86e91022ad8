"""The documentation at `/docs` and `/threads/docs`: a small page that shows `/openapi.json`."""
