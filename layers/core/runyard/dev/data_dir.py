"""The folder that a local stack keeps its data in: one stack at a time."""

import fcntl
from pathlib import Path
from typing import IO

from runyard.dev.errors import DataDirInUseError, LocalStackError


def lock(data_dir: Path) -> IO[str]:
    """Hold the data folder. The kernel gives it back when this process ends, however it ends."""
    try:
        (data_dir / "logs").mkdir(parents=True, exist_ok=True)
        file = (data_dir / "lock").open("w")
    except OSError as error:
        raise LocalStackError(f"{data_dir} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DataDirInUseError(f"{data_dir} is in use by another local stack") from None
    return file
