"""The exit codes of the commands that use the API.

`docs/reference/cli.md` lists them. Commands of an administrator use 0, 1 and 2.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """The fate of a run, or why a command has failed."""

    COMPLETED = 0
    SERVICE = 1
    USAGE = 2
    FAILED = 3
    CANCELED = 4
    WAITS = 5
    NOT_FOUND = 6
    KEY_REJECTED = 7
    CONFLICT = 8
    TIMEOUT = 9
    INTERRUPTED = 130


BY_STATUS = {
    "completed": ExitCode.COMPLETED,
    "failed": ExitCode.FAILED,
    "canceled": ExitCode.CANCELED,
}
"""The exit code of an ended run, by its status."""
