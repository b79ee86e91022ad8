"""Commands for the administrator of an installation: they use its tables, queues and secrets."""
