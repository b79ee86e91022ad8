"""Errors of projects."""


class ProjectError(Exception):
    """The project cannot be written. The message says what to do."""
