"""Errors that stop a local stack. The terminal shows their message."""


class LocalStackError(Exception):
    """The stack cannot start, or cannot continue."""


class DataDirInUseError(LocalStackError):
    """Another local stack holds the data folder."""


class PartError(LocalStackError):
    """A process of the stack did not become ready."""


class TableChangedError(LocalStackError):
    """A table in the data folder differs from the table in the template."""


class ToolUnavailableError(LocalStackError):
    """The download of a program that the local stack needs has failed."""


class InvocationFailedError(Exception):
    """A function that the stack invoked reported an error; the stack continues."""


class StreamMissingError(LocalStackError):
    """A table has no stream: the DynamoDB emulator supports none."""
