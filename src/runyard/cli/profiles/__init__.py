"""Profiles: where the service is, and which access key a command uses."""
