"""Build hooks of the documentation site (`make docs`)."""
