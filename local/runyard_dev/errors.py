"""Why a local stack cannot start or go on; the message is what the person at the terminal reads."""


class LocalStackError(Exception):
    """The stack cannot start, or cannot go on."""


class DataDirInUseError(LocalStackError):
    """Another local stack holds the data folder."""


class PartError(LocalStackError):
    """A part did not become ready."""


class TableChangedError(LocalStackError):
    """A table in the data folder is not the one that the template declares."""


class ToolUnavailableError(LocalStackError):
    """A program that the local stack needs could not be fetched."""


class InvocationFailedError(Exception):
    """A function that the stack invoked reported an error; the stack goes on."""


class StreamMissingError(LocalStackError):
    """A table has no stream: the DynamoDB that is used keeps none."""
