"""Log context, metrics and spans of a process. Imports nothing from the rest of the service."""
