"""Why a local stack cannot start or continue; the terminal shows the message."""


class LocalStackError(Exception):
    """The stack cannot start, or cannot continue."""


class DataDirInUseError(LocalStackError):
    """Another local stack holds the data folder."""


class PartError(LocalStackError):
    """A part did not become ready."""


class TableChangedError(LocalStackError):
    """A table in the data folder is not the one that the template declares."""


class ToolUnavailableError(LocalStackError):
    """A program that the local stack needs could not be fetched."""


class InvocationFailedError(Exception):
    """A function that the stack invoked reported an error; the stack continues."""


class StreamMissingError(LocalStackError):
    """A table has no stream: the DynamoDB emulator supports none."""
